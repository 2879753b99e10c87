"""Offsets for blocks with lifetimes: blocks alive at the same time never overlap, but for pairs that may share.

First fit in several orders, then seeded swaps of the best order, until the lower bound is met or the tries are spent.
Deterministic.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from sandgrain.compiler.plan.storage import Sharing, Storage, align

TRIES = 300  # placements; each takes about a millisecond for the graphs that occur
LOOKS = 6_000_000  # pairs of blocks that all placements together may look at: what bounds the work for large graphs
Gap = tuple[int, int]  # starts strictly between the two are forbidden


def lower_bound(blocks: Sequence[Storage], sharings: Sequence[Sharing] = ()) -> int:
    """No plan is smaller: the most aligned bytes alive at one step, less all that sharing could save there."""
    change: Counter[int] = Counter()  # step -> bytes that come alive there, less those that died before it
    for b in blocks:
        change[b.first] += align(b.size)
        change[b.last + 1] -= align(b.size)
    saved: dict[tuple[int, int], int] = {}  # of a pair of blocks, the best of the ways in which it may share; apart saves nothing
    for s in sharings:
        now = align(blocks[s.out].size) + align(blocks[s.dying].size) - s.together(blocks)
        saved[s.out, s.dying] = max(saved.get((s.out, s.dying), 0), now)
    spared: Counter[int] = Counter()
    for (out, _), most in saved.items():
        spared[blocks[out].first] += most
    best, alive, starts = 0, 0, {b.first for b in blocks}
    for step in sorted(change):
        alive += change[step]
        best = max(best, alive - spared[step]) if step in starts else best
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
    for _ in range(min(TRIES, LOOKS // max(pairs.count, 1)) if len(blocks) > 1 else 0):
        if size <= bound:
            break
        i, j = rng.sample(count, 2)
        swapped = order[:]
        swapped.insert(i, swapped.pop(j))
        candidate = pairs.first_fit(swapped)
        if candidate[1] <= size:
            (offsets, size), order = candidate, swapped
    return offsets, size


def _alive_together(blocks: Sequence[Storage]) -> list[list[int]]:
    """For each block, the others that are alive at one of its steps."""
    near: list[list[int]] = [[] for _ in blocks]
    alive: list[int] = []
    for k in sorted(range(len(blocks)), key=lambda k: blocks[k].first):
        alive = [j for j in alive if blocks[j].last >= blocks[k].first]
        for j in alive:
            near[j].append(k)
        near[k].extend(alive)
        alive.append(k)
    return near


class _Pairs:
    """Which starts each placed block forbids to each other block that is alive at the same time."""

    def __init__(self, blocks: Sequence[Storage], sharings: Sequence[Sharing]) -> None:
        self._sizes = [align(b.size) for b in blocks]
        self._share = {(s.out, s.dying): s for s in sharings}
        self._near = _alive_together(blocks)
        self.count = sum(map(len, self._near))

    def first_fit(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Each block in turn at the lowest offset that no placed block forbids."""
        offsets = [-1] * len(self._sizes)
        top = 0
        for k in order:
            gaps = [g for j in self._near[k] if offsets[j] >= 0 for g in self._forbidden(k, j, offsets[j])]
            start = 0
            for low, high in sorted(gaps):
                if low < start < high:
                    start = high
            offsets[k] = start
            top = max(top, start + self._sizes[k])
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
