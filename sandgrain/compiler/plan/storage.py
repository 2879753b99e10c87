"""Which bytes must live when, and which outputs may lie over an input that dies as they are made.

A `Storage` is one block of bytes with one lifetime; a view shares its source's. Steps count nodes; -1 is before the first
(inputs are written there), `len(nodes)` is after the last (outputs are read there).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandgrain.compiler.plan.stream import OutsideArena
from sandgrain.compiler.select import Selected
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.kernels import Lowered

NONE = OutsideArena()
ALIGN = 4  # bytes; word loads of int8 data, and int32 and float tensors


def align(size: int) -> int:
    """`size` rounded up to a multiple of ALIGN."""
    return -(-size // ALIGN) * ALIGN


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes that must keep one address from step `first` to step `last`, both included."""

    size: int
    first: int
    last: int

    def overlaps(self, other: Storage) -> bool:
        """Alive at the same step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Sharing:
    """Storage `out` may lie over storage `dying`: it starts at least `lead` bytes before it, or just there when `exact`."""

    out: int
    dying: int
    lead: int
    exact: bool

    def together(self, blocks: Sequence[Storage]) -> int:
        """The bytes that both need when they share."""
        return max(self.lead + align(blocks[self.dying].size), align(blocks[self.out].size))


def shared_inputs(lowered: Lowered) -> list[tuple[int, int, bool]]:
    """(input position, lead in whole words, exact) for every input that output 0 may lie over."""
    return [(share.position, align(share.lead), share.exact) for share in lowered.sharing]


def callers(graph: Graph) -> frozenset[int]:
    """The graph inputs that are read where the caller keeps them: they have no place in the arena."""
    readers = graph.consumers()
    return frozenset(
        i
        for i in graph.inputs
        if i in readers and i not in graph.outputs and all(OPS[graph.nodes[n].op].reads_caller for n in readers[i])
    )


def storages(
    graph: Graph, selected: Sequence[Selected | None], apart: OutsideArena = NONE
) -> tuple[list[Storage], dict[int, int], list[Sharing]]:
    """The storages of a graph in its order, tensor index -> storage index, and who may share. Constants and what the caller keeps have none,
    nor has what a stream keeps `apart`."""
    reads = _last_reads(graph)
    blocks: list[Storage] = []
    home: dict[int, int] = {}

    def own(tensor: int, step: int) -> None:
        home[tensor] = len(blocks)
        blocks.append(Storage(graph.tensors[tensor].nbytes, step, max(step, reads[tensor])))

    kept = callers(graph)
    for i in graph.inputs:
        if i not in kept:
            own(i, -1)
    for step, node in enumerate(graph.nodes):
        for k, out in enumerate(node.outputs):
            if k == 0 and OPS[node.op].is_view and node.inputs[0] in home:
                home[out] = home[node.inputs[0]]
            elif out not in apart.tensors:
                own(out, step + 1 if out == apart.late else step)
    sharings: list[Sharing] = []
    for step, node in enumerate(graph.nodes):
        chosen = selected[step]
        if chosen is None or node.outputs[0] not in home or node.outputs[0] == apart.late:
            continue
        for position, lead, exact in shared_inputs(chosen.lowered):
            i = node.inputs[position]
            if i not in home or blocks[home[i]].last != step:
                continue
            aliased = any(j != i and home.get(j) == home[i] for j in node.inputs)
            if not aliased:
                sharings.append(Sharing(home[node.outputs[0]], home[i], lead, exact))
    return blocks, home, sharings


def _last_reads(graph: Graph) -> dict[int, int]:
    """Tensor -> last step that needs its bytes; graph outputs are read after the last node, a view by its readers."""
    reads = dict.fromkeys(graph.inputs, -1)
    for step, node in enumerate(graph.nodes):
        for i in node.inputs:
            if i >= 0:
                reads[i] = step
        for o in node.outputs:
            reads[o] = step
    for i in graph.outputs:
        reads[i] = len(graph.nodes)
    for node in reversed(graph.nodes):
        if OPS[node.op].is_view:
            reads[node.inputs[0]] = max(reads[node.inputs[0]], reads[node.outputs[0]])
    return reads
