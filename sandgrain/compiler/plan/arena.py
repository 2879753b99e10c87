"""Offsets for blocks with lifetimes: blocks alive at the same time never overlap, but for pairs that may share.

First fit in several orders, then seeded swaps of the best order, until the lower bound is met or the tries are spent.
Deterministic.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from sandgrain.compiler.plan.storage import Sharing, Storage, align

TRIES = 300  # placements; each takes about a millisecond for the graphs that occur
Gap = tuple[int, int]  # starts strictly between the two are forbidden


def lower_bound(blocks: Sequence[Storage], sharings: Sequence[Sharing] = ()) -> int:
    """No plan is smaller: the most aligned bytes alive at one step, less all that sharing could save there."""
    best = 0
    for step in {b.first for b in blocks}:
        alive = sum(align(b.size) for b in blocks if b.first <= step <= b.last)
        saved: dict[
            tuple[int, int], int
        ] = {}  # of a pair of blocks, the best of the ways in which it may share; apart saves nothing
        for s in sharings:
            if blocks[s.out].first == step:
                now = align(blocks[s.out].size) + align(blocks[s.dying].size) - s.together(blocks)
                saved[s.out, s.dying] = max(saved.get((s.out, s.dying), 0), now)
        best = max(best, alive - sum(saved.values()))
    return max([best, *(align(b.size) for b in blocks)])


def place(blocks: Sequence[Storage], sharings: Sequence[Sharing] = ()) -> tuple[list[int], int]:
    """(offset of each block, arena bytes)."""
    bound = lower_bound(blocks, sharings)
    pairs = _Pairs(blocks, sharings)
    count = range(len(blocks))
    orders = [
        sorted(count, key=lambda k: (-blocks[k].size, blocks[k].first)),
        sorted(count, key=lambda k: (-(blocks[k].last - blocks[k].first + 1) * blocks[k].size, k)),
        sorted(count, key=lambda k: (blocks[k].first, -blocks[k].size)),
        # Latest first: an output that starts before its input must be there before the input is put behind it.
        sorted(count, key=lambda k: (-blocks[k].first, -blocks[k].size)),
        sorted(count, key=lambda k: (-blocks[k].last, -blocks[k].size)),
    ]
    placed = [(pairs.first_fit(order), order) for order in orders]
    (offsets, size), order = min(placed, key=lambda p: p[0][1])
    rng = random.Random(0)
    for _ in range(TRIES if len(blocks) > 1 else 0):
        if size <= bound:
            break
        i, j = rng.sample(count, 2)
        swapped = order[:]
        swapped.insert(i, swapped.pop(j))
        candidate = pairs.first_fit(swapped)
        if candidate[1] <= size:
            (offsets, size), order = candidate, swapped
    return offsets, size


class _Pairs:
    """Which starts each placed block forbids to each other block that is alive at the same time."""

    def __init__(self, blocks: Sequence[Storage], sharings: Sequence[Sharing]) -> None:
        self._sizes = [align(b.size) for b in blocks]
        self._share = {(s.out, s.dying): s for s in sharings}
        self._near = [[j for j, o in enumerate(blocks) if j != k and b.overlaps(o)] for k, b in enumerate(blocks)]

    def first_fit(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Each block in turn at the lowest offset that no placed block forbids."""
        offsets = [-1] * len(self._sizes)
        top = 0
        for k in order:
            gaps = [g for j in self._near[k] if offsets[j] >= 0 for g in self._forbidden(k, j, offsets[j])]
            starts = sorted({0, *(high for _, high in gaps if high >= 0), *(low for low, _ in gaps if low >= 0)})
            offsets[k] = next(s for s in starts if not any(low < s < high for low, high in gaps))
            top = max(top, offsets[k] + self._sizes[k])
        return offsets, top

    def _forbidden(self, k: int, j: int, at: int) -> list[Gap]:
        """Starts of block `k` that block `j`, placed at `at`, forbids."""
        over, under = self._share.get((k, j)), self._share.get((j, k))
        low, high = at - self._sizes[k], at + self._sizes[j]
        if over is not None:
            return [(low, at), (at, high)] if over.exact else [(at - over.lead, high)]
        if under is not None:
            return [(low, at), (at, high)] if under.exact else [(low, at + under.lead)]
        return [(low, high)]
