"""into_strips: the first layers run strip by strip. Not in PIPELINE: it is asked for when memory is short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sandgrain.graph.ir import Graph, Node, attrs
from sandgrain.graph.ops.strips import can_strip


def longest_chain(graph: Graph) -> int:
    """How many leading layers form a chain from the graph's only input that can run strip by strip."""
    consumers = graph.consumers()
    if len(graph.inputs) != 1 or len(consumers.get(graph.inputs[0], ())) != 1:
        return 0
    at, length = graph.inputs[0], 0
    for node in graph.nodes:
        if node.inputs[0] != at or not can_strip(graph, node):
            break
        length, at = length + 1, node.outputs[0]
        if at in graph.outputs or len(consumers.get(at, ())) != 1:
            break
    return length


def into_strips(
    graph: Graph, strips: tuple[int, int], features: frozenset[str], kernels: Mapping[int, str] | None = None
) -> Graph:
    """before: a = conv(x); b = depthwise(a); y = f(b)      after: b = strips(x: conv, depthwise); y = f(b)

    `strips`: how many leading layers (at most `longest_chain`), and output rows per strip. `kernels`: first output tensor -> name of
    the kernel that was chosen for its layer; the strips keep it where it can run a strip. Tensors keep their numbers.
    """
    length, height = strips
    inner = graph.nodes[:length]
    names = tuple((kernels or {}).get(node.outputs[0], "") for node in inner)
    first, last = inner[0].inputs[0], inner[-1].outputs[0]
    chain = replace(graph, name="strips", nodes=inner, inputs=(first,), outputs=(last,), labels=())
    options = attrs(graph=chain, height=height, features=features, kernels=names)
    return replace(graph, nodes=(Node("strips", inner[-1].name, (first,), (last,), options), *graph.nodes[length:]))
