"""remove_dead: every layer is read, directly or not, by an output."""

from __future__ import annotations

from sandgrain.graph.ir import Graph, Node, with_nodes


def remove_dead(graph: Graph) -> Graph:
    """before: a = f(x); b = g(x); output a      after: a = f(x); output a"""
    wanted = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            wanted |= {i for i in node.inputs if i >= 0}
            kept.append(node)
    return with_nodes(graph, kept[::-1])
