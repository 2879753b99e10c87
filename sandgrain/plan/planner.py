"""From a graph and a core's features to a `Plan`: kernels picked, nodes ordered, every byte of the arena given out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sandgrain.errors import UnsupportedError
from sandgrain.ir import Graph, Node
from sandgrain.ops import OPS, Kernel
from sandgrain.plan.arena import place
from sandgrain.plan.order import least_memory_order
from sandgrain.plan.storage import Storage, storages

MAX_TOGGLES = 64  # nodes that are tried without sharing: bounds the time on large graphs


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the generated code will do, and where everything lies.

    `graph`: nodes in execution order. `kernels`: one a node, None for views. `offsets`: tensor index -> arena offset in
    bytes (constants have none). `scratch`: one a node, arena offset of its scratch, or None. `blocks`: every storage
    with its offset, scratch included, for reports and proofs.
    """

    graph: Graph
    kernels: tuple[Kernel | None, ...]
    offsets: dict[int, int]
    scratch: tuple[int | None, ...]
    arena_bytes: int
    blocks: tuple[tuple[Storage, int], ...]


def select(graph: Graph, node: Node, features: Collection[str]) -> Kernel | None:
    """The first kernel of the op whose needs the core offers and that accepts the node; None for a view."""
    op, view = OPS[node.op], graph.view(node)
    if op.is_view and view.input(0).data is None:
        return None
    for kernel in op.kernels:
        if kernel.needs <= set(features) and kernel.accepts(view):
            return kernel
    raise UnsupportedError(f"{node.name}: no {node.op} kernel fits this layer on this core; try --target host to compare")


def plan(graph: Graph, features: Collection[str]) -> Plan:
    """Select kernels, order nodes, place tensors."""
    chosen = [select(graph, node, features) for node in graph.nodes]
    ordered, kernels = least_memory_order(graph, chosen)
    return layout(ordered, kernels)


def layout(graph: Graph, kernels: tuple[Kernel | None, ...]) -> Plan:
    """The smallest plan found for a graph in its order.

    Sharing memory usually saves it, but ties two lifetimes together; so nodes that may share are also tried without,
    one after another, and what makes the arena smaller is kept.
    """
    steps = [s for s, kernel in enumerate(kernels) if kernel is not None]
    best = min((_place(graph, kernels, frozenset(apart)) for apart in ((), steps)), key=lambda p: p.arena_bytes)
    apart = frozenset[int]()
    for step in steps[:MAX_TOGGLES]:
        candidate = _place(graph, kernels, apart | {step})
        if candidate.arena_bytes < best.arena_bytes:
            best, apart = candidate, apart | {step}
    return best


def _place(graph: Graph, kernels: tuple[Kernel | None, ...], apart: frozenset[int]) -> Plan:
    """A plan in which the nodes in `apart` share no memory with their inputs."""
    blocks, home = storages(graph, kernels, lambda step: step not in apart)
    scratch_block: list[int | None] = []
    for step, (node, kernel) in enumerate(zip(graph.nodes, kernels, strict=True)):
        size = kernel.scratch(graph.view(node)) if kernel else 0
        scratch_block.append(len(blocks) if size else None)
        if size:
            blocks.append(Storage(size, step, step))
    offsets, arena_bytes = place(blocks)
    return Plan(
        graph,
        kernels,
        {t: offsets[s] + within for t, (s, within) in home.items()},
        tuple(None if b is None else offsets[b] for b in scratch_block),
        arena_bytes,
        tuple(zip(blocks, offsets, strict=True)),
    )
