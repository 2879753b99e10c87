"""The execution order that needs least memory.

Exact for graphs with few branches: a best-first search over sets of executed nodes, cheapest peak first, so the first
complete set popped is optimal. Past `LIMIT` sets it settles for the better of the file's order and a greedy one.
Peak memory follows M. Ahn et al., "Ordering Chaos", 2020: what is alive while a node runs, its scratch included.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandgrain.compiler.plan.storage import callers, shared_inputs
from sandgrain.compiler.select import Selected
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS

LIMIT = 20_000  # sets of executed nodes the exact search may visit: about a second
ROOM = 20_000_000  # and what it may keep in mind of them, in nodes: what bounds it for large graphs
PUSH = 50  # nodes that an order in the queue counts for beside its own
LOOKS = 200_000  # nodes that the greedy order may compare


def least_memory_order(graph: Graph, selected: Sequence[Selected | None]) -> tuple[Graph, tuple[Selected | None, ...]]:
    """The graph with its nodes (and their kernels) in the order of least peak memory; ties keep the given order."""
    work = _Work.of(graph, selected)
    best = _search(work)
    if best is None:
        given, greedy = list(range(len(graph.nodes))), _greedy(work)
        best = given if greedy is None else min((given, greedy), key=work.peak)
    return replace(graph, nodes=tuple(graph.nodes[n] for n in best)), tuple(selected[n] for n in best)


@dataclass(frozen=True, slots=True)
class _Work:
    """The graph as the search sees it; views are merged into the tensor they look at."""

    needs: list[int]  # node -> bit mask of nodes that must come before
    then: list[list[int]]  # node -> the nodes that wait for it
    reads: list[set[int]]  # node -> storages read
    makes: list[dict[int, int]]  # node -> storage made: bytes
    scratch: list[int]
    takes: list[dict[int, int]]  # node -> {storage its output may share: bytes saved}
    readers: dict[int, int]  # storage -> bit mask of its readers
    size: dict[int, int]
    kept: frozenset[int]  # storages that outlive the run
    start: frozenset[int]

    @classmethod
    def of(cls, graph: Graph, selected: Sequence[Selected | None]) -> _Work:
        home: dict[int, int] = {}
        needs, reads, makes, scratch, takes = [], [], [], [], []
        then: list[list[int]] = [[] for _ in graph.nodes]
        readers: dict[int, int] = {}
        outside = callers(graph)
        size = {i: 0 if i in outside else graph.tensors[i].nbytes for i in graph.inputs}
        maker = graph.producers()
        for n, node in enumerate(graph.nodes):
            view, is_view = graph.view(node), OPS[node.op].is_view
            live = [i for i in node.inputs if i >= 0 and graph.tensors[i].data is None]
            before = {maker[i] for i in live if i in maker}
            needs.append(sum(1 << m for m in before))
            for m in before:
                then[m].append(n)
            used = {home.get(i, i) for i in live}
            reads.append(used)
            for s in used:
                readers[s] = readers.get(s, 0) | (1 << n)
            made = {}
            for k, out in enumerate(node.outputs):
                if is_view and k == 0 and live:
                    home[out] = home.get(live[0], live[0])
                else:
                    made[out] = size[out] = graph.tensors[out].nbytes
            makes.append(made)
            chosen = selected[n]
            scratch.append(chosen.lowered.scratch if chosen else 0)
            shared = shared_inputs(chosen.lowered) if chosen else []
            saved: dict[int, int] = {}
            for position, lead, _ in shared:
                i = node.inputs[position]
                if i in live and i not in outside:
                    together = max(lead + graph.tensors[i].nbytes, view.out.nbytes)
                    saved.setdefault(home.get(i, i), graph.tensors[i].nbytes + view.out.nbytes - together)
            takes.append(saved)
        kept = frozenset(home.get(i, i) for i in graph.outputs)
        return cls(needs, then, reads, makes, scratch, takes, readers, size, kept, frozenset(graph.inputs))

    def step(self, done: int, live: frozenset[int], n: int) -> tuple[int, frozenset[int]]:
        """(bytes alive while node `n` runs after the set `done`, what is alive afterwards)."""
        after = done | (1 << n)
        dying = {s for s in self.reads[n] if s not in self.kept and not self.readers[s] & ~after}
        saved = max((self.takes[n][s] for s in dying if s in self.takes[n]), default=0)
        now = sum(self.size[s] for s in live) + sum(self.makes[n].values()) - saved + self.scratch[n]
        unread = {s for s in self.makes[n] if s not in self.readers and s not in self.kept}
        return now, (live | self.makes[n].keys()) - dying - unread

    def ready_first(self) -> tuple[int, ...]:
        """The nodes that wait for none."""
        return tuple(n for n, need in enumerate(self.needs) if not need)

    def ready_after(self, ready: tuple[int, ...], done: int, n: int) -> tuple[int, ...]:
        """What can run once `n`, one of `ready`, has: `done` are the nodes that have run by then."""
        return tuple(sorted({*ready, *(m for m in self.then[n] if not self.needs[m] & ~done)} - {n}))

    def peak(self, order: Sequence[int]) -> int:
        done, live, peak = 0, self.start, 0
        for n in order:
            now, live = self.step(done, live, n)
            done |= 1 << n
            peak = max(peak, now)
        return peak


# Peak so far, order, nodes that have run as a bit mask, storages alive, nodes that can run. No two have the same order.
_Entry = tuple[int, tuple[int, ...], int, frozenset[int], tuple[int, ...]]


def _search(work: _Work) -> list[int] | None:
    """An optimal order, or None when the graph has too many."""
    goal = (1 << len(work.needs)) - 1
    heap: list[_Entry] = [(0, (), 0, work.start, work.ready_first())]
    seen: set[int] = set()
    room = ROOM
    while heap:
        peak, order, done, live, ready = heapq.heappop(heap)
        if done == goal:
            return list(order)
        if done in seen:
            continue
        seen.add(done)
        room -= (len(order) + PUSH) * len(ready)
        if len(seen) > LIMIT or room < 0:
            return None
        for n in ready:
            after = done | (1 << n)
            if after not in seen:
                now, then = work.step(done, live, n)
                heapq.heappush(heap, (max(peak, now), (*order, n), after, then, work.ready_after(ready, after, n)))
    raise AssertionError("the graph has no executable order")


def _greedy(work: _Work) -> list[int] | None:
    """Always the ready node after which least is alive; None where there are too many to compare."""
    done, live, order, ready, looks = 0, work.start, list[int](), work.ready_first(), LOOKS
    while ready:
        looks -= len(ready)
        if looks < 0:
            return None
        options = [(work.step(done, live, n), n) for n in ready]
        (_, live), n = min(options, key=lambda o: (sum(work.size[s] for s in o[0][1]), o[0][0], o[1]))
        done |= 1 << n
        order.append(n)
        ready = work.ready_after(ready, done, n)
    return order
