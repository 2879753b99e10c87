"""into_strips: the first layers run strip by strip. Not in PIPELINE: it is asked for when memory is short."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.ir import Graph, Node, attrs
from sandgrain.ops.strips import can_strip


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


def into_strips(graph: Graph, length: int, height: int, features: frozenset[str]) -> Graph:
    """before: a = conv(x); b = depthwise(a); y = f(b)      after: b = strips(x: conv, depthwise); y = f(b)

    `length`: leading layers, at most `longest_chain`. `height`: output rows a strip. Tensors keep their numbers.
    """
    inner = graph.nodes[:length]
    first, last = inner[0].inputs[0], inner[-1].outputs[0]
    chain = replace(graph, name="strips", nodes=inner, inputs=(first,), outputs=(last,), labels=())
    node = Node("strips", inner[-1].name, (first,), (last,), attrs(graph=chain, height=height, features=features))
    return replace(graph, nodes=(node, *graph.nodes[length:]))
