"""Offsets for blocks with lifetimes, so that blocks alive at the same time never overlap.

First fit in several orders, then seeded swaps of the best order, until the lower bound (the most bytes alive at once)
is met or the tries are spent. Deterministic.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from sandgrain.plan.storage import Storage, align

TRIES = 400


def lower_bound(blocks: Sequence[Storage]) -> int:
    """The most aligned bytes alive at one step: no plan is smaller."""
    steps = {b.first for b in blocks}
    return max((sum(align(b.size) for b in blocks if b.first <= s <= b.last) for s in steps), default=0)


def place(blocks: Sequence[Storage]) -> tuple[list[int], int]:
    """(offset of each block, arena bytes)."""
    bound = lower_bound(blocks)
    orders = [
        sorted(range(len(blocks)), key=lambda k: (-blocks[k].size, blocks[k].first)),
        sorted(range(len(blocks)), key=lambda k: (-(blocks[k].last - blocks[k].first + 1) * blocks[k].size, k)),
        sorted(range(len(blocks)), key=lambda k: (blocks[k].first, -blocks[k].size)),
        sorted(range(len(blocks)), key=lambda k: (-blocks[k].last, -blocks[k].size)),
    ]
    neighbours = [[j for j, o in enumerate(blocks) if j != k and b.overlaps(o)] for k, b in enumerate(blocks)]
    placed = [(_first_fit(blocks, neighbours, order), order) for order in orders]
    (offsets, size), order = min(placed, key=lambda p: p[0][1])
    rng = random.Random(0)
    for _ in range(TRIES if len(blocks) > 1 else 0):
        if size <= bound:
            break
        i, j = rng.sample(range(len(order)), 2)
        swapped = order[:]
        swapped[i], swapped[j] = swapped[j], swapped[i]
        candidate = _first_fit(blocks, neighbours, swapped)
        if candidate[1] <= size:
            (offsets, size), order = candidate, swapped
    return offsets, size


def _first_fit(blocks: Sequence[Storage], neighbours: Sequence[Sequence[int]], order: Sequence[int]) -> tuple[list[int], int]:
    """Each block in turn at the lowest offset that is free for its whole life."""
    offsets = [-1] * len(blocks)
    top = 0
    for k in order:
        size, at = align(blocks[k].size), 0
        for start, end in sorted((offsets[j], offsets[j] + align(blocks[j].size)) for j in neighbours[k] if offsets[j] >= 0):
            if at + size <= start:
                break
            at = max(at, end)
        offsets[k] = at
        top = max(top, at + size)
    return offsets, top
