"""fuse_activations: no activation that its producer's clamp can do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sandgrain.graph.ir import Graph, Node, attrs, with_nodes
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import same_quant

MAX_BITS = 16  # of types whose values are tried one by one


def fuse_activations(graph: Graph) -> Graph:
    """before: t = conv_2d(x); y = relu(t)      after: y = conv_2d(x, clamp)

    Only where it is exact: the activation's table over all 256 values is a clamp, t has no other reader, and the
    producer clamps its output (it has a fused activation).
    """
    consumers, producers = graph.consumers(), graph.producers()
    nodes: list[Node | None] = list(graph.nodes)
    for n, node in enumerate(graph.nodes):
        maker = producers.get(node.inputs[0]) if OPS[node.op].fused_as else None
        before = None if maker is None else nodes[maker]
        if before is None or maker is None or "activation" not in before.attrs:
            continue
        if len(consumers[node.inputs[0]]) != 1 or node.inputs[0] in graph.outputs:
            continue
        clamp = _clamp(graph, node)
        if clamp is None:
            continue
        low, high = before.attrs.get("clamp", clamp)
        fused = (max(low, clamp[0]), min(high, clamp[1]))
        if fused[0] > fused[1]:
            continue
        nodes[maker] = replace(before, outputs=node.outputs, attrs=attrs(**{**before.attrs, "clamp": fused}))
        nodes[n] = None
        producers[node.outputs[0]] = maker
    return with_nodes(graph, [n for n in nodes if n is not None])


def _clamp(graph: Graph, node: Node) -> tuple[int, int] | None:
    """(low, high) when the activation does nothing but clamp its input."""
    view = graph.view(node)
    x, dtype = view.input(0), view.input(0).dtype
    if dtype.is_float or dtype.bits > MAX_BITS or not same_quant(x, view.out):
        return None
    every = dtype.values().astype(dtype.numpy)
    flat = replace(view, inputs=(replace(x, shape=every.shape),), outputs=(replace(view.out, shape=every.shape),))
    (table,) = OPS[node.op].reference(flat, [every])
    low, high = int(table.min()), int(table.max())
    return (low, high) if np.array_equal(table, np.clip(every, low, high)) else None
