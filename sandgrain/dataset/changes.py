"""Streams that a reader cut at each change of their label: which pieces follow one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandgrain.dataset.names import split_key, suffix
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers import for_suffix, readers
from sandgrain.dataset.records import Layout, Record
from sandgrain.dataset.tracks import TrackOptions
from sandgrain.dataset.windows import Run


def cuts(layout: Layout) -> bool:
    """Whether any reader cuts at changes."""
    return any(cut_at_changes(f"x{reader.SUFFIXES[0]}", layout) for reader in readers())


def cut_at_changes(path: str, layout: Layout) -> bool:
    """Whether recordings of a file follow one another without a gap, a new one where the label is another: some readers do it."""
    tracks = layout.get(TrackOptions)
    reader = for_suffix(suffix(path))
    if layout.get(CenterOptions).center:
        return False
    if reader is None or tracks.label_tracks or tracks.track_file:  # what lies between stretches may be left out
        return False
    cut = getattr(reader, "cuts_at_changes", None)
    return cut is not None and bool(cut(layout))


def runs(records: Sequence[Record], layout: Layout) -> list[Record | Run]:
    """The records in their order, those that follow one another in a stream as one run. Records of other groups, or cut by time, do not."""
    return [Run(tuple(chain)) if len(chain) > 1 else chain[0] for chain in _chains(records, layout)]


def _chains(records: Sequence[Record], layout: Layout) -> Iterator[list[Record]]:
    chain: list[Record] = []
    for record in records:
        if chain and not _follows(record, chain[-1], layout):
            yield chain
            chain = []
        chain.append(record)
    if chain:
        yield chain


def _follows(record: Record, before: Record, layout: Layout) -> bool:
    (path, index), (path_before, index_before) = split_key(record.key), split_key(before.key)
    return (
        path == path_before
        and index == index_before + 1
        and record.group == before.group
        and record.part is before.part is None
        and record.shape[1:] == before.shape[1:]
        and record.rate == before.rate
        and cut_at_changes(path, layout)
    )
