"""Whose bytes of the arena are whose, for `verify`: what each layer may write, and what means nothing once it has run.

An answer says nothing of a kernel that writes beside its output where nobody looks at the moment, or that reads a byte which happens to
hold what fits. So in the host build every byte of the arena that a layer does not own must keep its value, and bytes that mean nothing
hold other values each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sandgrain.compiler.emit.model import Source
from sandgrain.compiler.plan import Plan
from sandgrain.device.run.host_process import Guards

BEFORE = -1  # the step before the first layer: the inputs are there


def guards(source: Source) -> Guards | None:
    """The guards of a model's C; None for a stream, which keeps a part of its memory outside of the arena."""
    plan, unit = source.plan, source.unit
    if plan.stream is not None:
        return None
    placed = unit.caller or source.options.section is not None
    steps = range(len(plan.graph.nodes))
    writes = tuple((step, start, size) for step in steps for start, size in written(plan, step))
    ops = tuple(node.op for node in plan.graph.nodes)
    dead = tuple((step, start, end - start) for step in (BEFORE, *steps) for start, end in _gaps(plan, step))
    return Guards(plan.arena_bytes, "" if placed else f"union {unit.name}_arena_memory {unit.name}_arena", writes, dead, ops)


def written(plan: Plan, step: int) -> list[tuple[int, int]]:
    """(arena offset, bytes) of what a layer may write: its outputs and its scratch."""
    return [(offset, block.size) for block, offset in plan.blocks if block.first == step]


def _gaps(plan: Plan, step: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what nobody reads after a step without writing it first."""
    top = 0
    for start, end in _merged((o, o + b.size) for b, o in plan.blocks if b.first <= step < b.last):
        if start > top:
            yield top, start
        top = end
    if top < plan.arena_bytes:
        yield top, plan.arena_bytes


def _merged(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(pieces):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found
