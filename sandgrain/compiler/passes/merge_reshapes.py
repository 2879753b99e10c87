"""merge_reshapes: no reshape reads a reshape, and none keeps the shape it was given.

What remains costs nothing: a reshape is a view, without code and without memory.
"""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import Graph, Node, with_nodes
from sandgrain.graph.ops import OPS


def merge_reshapes(graph: Graph) -> Graph:
    """before: b = reshape(a); c = reshape(b); y = f(c)      after: y = f(a) when c has a's shape, else f(reshape(a))."""
    source: dict[int, int] = {}  # view -> what it is a view of
    same: dict[int, int] = {}  # view -> a tensor that equals it
    kept: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(same.get(i, i) for i in node.inputs)
        if OPS[node.op].is_view:
            origin, out = source.get(inputs[0], inputs[0]), node.outputs[0]
            source[out] = origin
            inputs = (origin, *inputs[1:])
            if graph.tensors[origin].shape == graph.tensors[out].shape and out not in graph.outputs:
                same[out] = origin
                continue
        kept.append(replace(node, inputs=inputs))
    return with_nodes(graph, kept)
