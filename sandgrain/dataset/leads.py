"""What comes in front of the windows of a recording that is measured against its own start, or against what was just before.

A lead belongs to a stream, not to a piece of one: where a reader cut a stream at changes of its label, the lead of every piece is
the stream's. For a group (a person), the recordings of the group are one stream in the order of their names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.changes import runs
from sandgrain.dataset.names import split_key
from sandgrain.dataset.records import Layout, Record
from sandgrain.dataset.tracks import TrackOptions
from sandgrain.dataset.windows import Run, Windowing

HELD = 64  # starts of streams that are kept
Chain = tuple[Record, ...]


class Leads:
    """`records`: all that were read, in their order. `load`: a record's samples."""

    def __init__(self, records: Sequence[Record], layout: Layout, windowing: Windowing, load: Callable[[Record], Array]) -> None:
        self._windowing, self._load = windowing, load
        self._chains: dict[str, tuple[Chain, int]] = {}  # of a record: its stream, and its place there
        self._before: dict[str, int] = {}
        for chain in _streams(records, layout, windowing.lead_of):
            at = 0
            for k, record in enumerate(chain):
                self._chains[record.key], self._before[record.key] = (chain, k), at
                at += record.shape[0]
        self._starts: OrderedDict[str, Array] = OrderedDict()

    def placed(self, records: Iterable[Record]) -> tuple[Record, ...]:
        """The records, each with the samples of its stream that come before it."""
        return tuple(replace(r, before=self._before[r.key]) for r in records)

    def ahead(self, item: Record | Run) -> Array:
        """The lead of the windows of `item`; where it is what comes just before each, as much as that of what comes before `item`."""
        first = item.records[0] if isinstance(item, Run) else item
        whole, start = first.part or (first, 0)
        chain, place = self._chains[whole.key]
        if self._windowing.lead_of != "before":
            return self._start(chain)
        parts, wanted = [self._load(whole)[:start][-self._windowing.lead :]] if start else [], self._windowing.lead - start
        while wanted > 0 and place > 0:
            place -= 1
            parts.insert(0, self._load(chain[place])[-wanted:])
            wanted -= len(parts[0])
        return np.concatenate(parts) if parts else np.zeros((0, *first.shape[1:]), np.int16)

    def _start(self, chain: Chain) -> Array:
        """The first samples of a stream, or all where it is shorter."""
        kept = self._starts.pop(chain[0].key, None)
        if kept is None:
            parts: list[Array] = []
            wanted = self._windowing.lead
            for record in chain:
                parts.append(self._load(record)[:wanted])
                wanted -= len(parts[-1])
                if wanted <= 0:
                    break
            kept = np.concatenate(parts)
        self._starts[chain[0].key] = kept
        if len(self._starts) > HELD:
            self._starts.popitem(last=False)
        return kept


def _streams(records: Sequence[Record], layout: Layout, of: str) -> Iterator[Chain]:
    """The records that have a lead in common."""
    if of == "group":
        yield from _alike(records, {r.key: r.group or f"\0{split_key(r.key)[0]}" for r in records})
    elif of == "start" and (layout.get(TrackOptions).label_tracks or layout.get(TrackOptions).track_file):
        yield from _alike(records, {r.key: split_key(r.key)[0] for r in records})  # stretches of one file, with gaps between
    else:
        for item in runs(records, layout):
            yield item.records if isinstance(item, Run) else (item,)


def _alike(records: Sequence[Record], names: Mapping[str, str]) -> Iterator[Chain]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(names[record.key], []).append(record)
    for chain in found.values():
        yield tuple(chain)
