"""fold_constants: no layer computes from constants alone."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import Array, Graph, Node, View, with_nodes
from sandgrain.graph.ops import OPS


def fold_constants(graph: Graph) -> Graph:
    """A node whose inputs are all constant becomes constant tensors.

    before: c = quantize(K); y = add(x, c)      after: y = add(x, K')

    Nodes that give a graph output stay: an output is never a constant.
    """
    tensors = list(graph.tensors)
    kept, ends = list[Node](), set(graph.outputs)
    for node in graph.nodes:
        inputs: list[Array | None] = [None if i < 0 else tensors[i].data for i in node.inputs]
        known = all(i < 0 or data is not None for i, data in zip(node.inputs, inputs, strict=True))
        if not known or ends & set(node.outputs):
            kept.append(node)
            continue
        view = View(node, tuple(None if i < 0 else tensors[i] for i in node.inputs), tuple(tensors[i] for i in node.outputs))
        for index, value in zip(node.outputs, OPS[node.op].reference(view, inputs), strict=True):
            tensors[index] = replace(tensors[index], data=value)
    return with_nodes(replace(graph, tensors=tuple(tensors)), kept)
