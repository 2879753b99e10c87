"""From a graph and a core's features to a `Plan`: kernels picked, nodes ordered, every byte of the arena given out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from sandgrain.compiler.plan.arena import place
from sandgrain.compiler.plan.order import least_memory_order
from sandgrain.compiler.plan.storage import NONE, Storage, storages
from sandgrain.compiler.plan.stream import StreamPlan, outside, stream_plan
from sandgrain.compiler.select import Choice, Selected, select
from sandgrain.graph.ir import Graph
from sandgrain.kernels import Kernel


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the generated code will do, and where everything lies.

    `graph`: nodes in execution order. `selected`: the kernel of each node and its calls, None for views. `offsets`: tensor index -> arena offset in
    bytes (constants have none). `scratch`: one a node, arena offset of its scratch, or None. `blocks`: every storage
    with its offset, scratch included, for reports and proofs. `shared`: first output tensors of the nodes that call a
    shared copy of their kernel. `stream`: how the signal streams, None where it comes in whole windows.
    """

    graph: Graph
    selected: tuple[Selected | None, ...]
    offsets: dict[int, int]
    scratch: tuple[int | None, ...]
    arena_bytes: int
    blocks: tuple[tuple[Storage, int], ...]
    shared: frozenset[int] = frozenset()
    stream: StreamPlan | None = None

    @property
    def kernels(self) -> tuple[Kernel | None, ...]:
        """The kernel of each node, None for views."""
        return tuple(None if s is None else s.kernel for s in self.selected)


def plan(graph: Graph, features: Collection[str], choice: Choice | None = None, stride: int = 0) -> Plan:
    """Select kernels as `choice` says, order nodes, place tensors.

    `stride`: samples from one result of a stream to the next; 0: whole windows only.
    """
    choice = choice or Choice()
    chosen = [select(graph, node, features, choice) for node in graph.nodes]
    ordered, selected = least_memory_order(graph, chosen)
    return replace(layout(ordered, selected, stream_plan(ordered, stride) if stride else None), shared=choice.shared)


def alive_blocks(plan: Plan) -> Iterator[list[tuple[int, int]]]:
    """For each layer (start, end) in the arena of all that is in use while it runs, in the order of the starts."""
    waiting = sorted(plan.blocks, key=lambda placed: placed[0].first, reverse=True)
    alive: list[tuple[Storage, int]] = []
    for step in range(len(plan.graph.nodes)):
        while waiting and waiting[-1][0].first <= step:
            alive.append(waiting.pop())
        alive = [placed for placed in alive if placed[0].last >= step]
        yield sorted((offset, offset + block.size) for block, offset in alive)


def alive_bytes(plan: Plan) -> list[int]:
    """Arena bytes in use while each layer runs; bytes that an output and its dying input share count once."""
    found = []
    for blocks in alive_blocks(plan):
        total, top = 0, 0
        for start, end in blocks:
            total += max(end - max(start, top), 0)
            top = max(top, end)
        found.append(total)
    return found


def layers_above(plan: Plan, arena_bytes: int) -> list[int]:
    """First output tensors of the layers that need more than `arena_bytes`; if none does, of those that lie above it for want of a gap."""
    outputs = [node.outputs[0] for node in plan.graph.nodes]
    more = [t for t, used in zip(outputs, alive_bytes(plan), strict=True) if used > arena_bytes]
    return more or [
        t for t, blocks in zip(outputs, alive_blocks(plan), strict=True) if any(end > arena_bytes for _, end in blocks)
    ]


def layout(graph: Graph, selected: tuple[Selected | None, ...], stream: StreamPlan | None = None) -> Plan:
    """Give every tensor and every kernel's scratch its place, in the graph's order."""
    apart = NONE if stream is None else outside(graph, stream)
    blocks, home, sharings = storages(graph, selected, apart)
    scratch_block: list[int | None] = []
    for step, chosen in enumerate(selected):
        size = chosen.lowered.scratch if chosen and step not in apart.nodes else 0
        scratch_block.append(len(blocks) if size else None)
        if size:
            blocks.append(Storage(size, step, step))
    offsets, arena_bytes = place(blocks, sharings)
    return Plan(
        graph,
        selected,
        {t: offsets[s] for t, s in home.items()},
        tuple(None if b is None else offsets[b] for b in scratch_block),
        arena_bytes,
        tuple(zip(blocks, offsets, strict=True)),
        stream=stream,
    )
