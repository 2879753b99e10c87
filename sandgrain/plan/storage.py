"""Which tensors share memory: views always; outputs that a kernel may write over, or into, a dead input where it is chosen.

A `Storage` is one block of bytes with one lifetime. Steps count nodes; -1 is before the first (inputs are written
there), `len(nodes)` is after the last (outputs are read there).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandgrain.ir import Graph, View
from sandgrain.ops import OPS, Kernel

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


@dataclass(slots=True)
class _Group:
    """Tensors at fixed distances from each other: `at` gives each one's start, `low` and `high` the extent."""

    at: dict[int, int]
    low: int
    high: int
    first: int
    last: int

    def add(self, tensor: int, start: int, size: int) -> None:
        self.at[tensor] = start
        self.low, self.high = min(self.low, start), max(self.high, start + size)


def shared_input(view: View, kernel: Kernel) -> list[tuple[int, int]]:
    """(input position, lead) of every input that output 0 may share memory with: it starts `lead` bytes before it."""
    in_place = [(p, 0) for p in kernel.in_place(view) if view.out.nbytes <= view.input(p).nbytes]
    return in_place + [(p, align(lead)) for p, lead in kernel.overlap(view)]


def storages(
    graph: Graph, kernels: Sequence[Kernel | None], may_share: Callable[[int], bool] = lambda step: True
) -> tuple[list[Storage], dict[int, tuple[int, int]]]:
    """The storages of a graph in its order, and tensor index -> (storage index, offset in it). Constants have none.

    `may_share(step)`: whether that node's output may share an input's memory. Views always do.
    """
    end = len(graph.nodes)
    reads = _last_reads(graph)
    groups: list[_Group] = []
    home: dict[int, _Group] = {}

    def own(tensor: int, step: int) -> None:
        group = _Group({tensor: 0}, 0, graph.tensors[tensor].nbytes, step, max(step, reads[tensor]))
        groups.append(group)
        home[tensor] = group

    def join(tensor: int, source: int, lead: int) -> None:
        group = home[source]
        group.add(tensor, group.at[source] - lead, graph.tensors[tensor].nbytes)
        group.last = max(group.last, reads[tensor])
        home[tensor] = group

    for i in graph.inputs:
        own(i, -1)
    for step, node in enumerate(graph.nodes):
        source = _source(graph, step, kernels[step], home, may_share(step))
        for k, out in enumerate(node.outputs):
            if k == 0 and source is not None:
                join(out, *source)
            else:
                own(out, step)
    assert all(g.last <= end for g in groups)
    index = {id(g): k for k, g in enumerate(groups)}
    blocks = [Storage(g.high - g.low, g.first, g.last) for g in groups]
    return blocks, {t: (index[id(g)], g.at[t] - g.low) for t, g in home.items()}


def _source(graph: Graph, step: int, kernel: Kernel | None, home: dict[int, _Group], may_share: bool) -> tuple[int, int] | None:
    """(input tensor, lead) whose memory the node's first output takes over, or None."""
    node = graph.nodes[step]
    view = graph.view(node)
    if OPS[node.op].is_view and node.inputs[0] in home:
        return node.inputs[0], 0
    if kernel is None or not may_share:
        return None
    for position, lead in shared_input(view, kernel):
        i = node.inputs[position]
        if i not in home:
            continue
        group = home[i]
        aliased = any(j != i and j in home and home[j] is group for j in node.inputs)
        if group.last == step and not aliased:
            return i, lead
    return None


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
