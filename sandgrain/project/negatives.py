"""The recordings of `[data] negatives`, in which there is nothing to find: nothing learns from them, they only count false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain, span
from sandgrain.dataset import ingest
from sandgrain.dataset.readers.base import RateOptions
from sandgrain.dataset.records import Manifest
from sandgrain.frontend.signal import Signal
from sandgrain.project import background, recordings
from sandgrain.project.file.load import Loaded
from sandgrain.project.streams import Stream, joined


def manifests(loaded: Loaded, signal: Signal) -> list[Manifest]:
    """What fits the patterns, read as the signal is, folder by folder. Raises UsageError for a pattern that no recording fits."""
    data, found = loaded.project.data, []
    for pattern in data.negatives:
        root, inside = background.place(loaded.root, pattern, "negatives")
        layout = recordings.layout_of(signal, "", data.layout.get(RateOptions).resample)
        try:
            manifest = ingest.ingest(root, replace(layout, files=(inside,), links=data.links))
        except UsageError as error:
            raise UsageError(f"[data] negatives: {error}") from None
        if not manifest.records:
            first = manifest.bad[0]
            raise UsageError(f"[data] negatives: {plain(first.path, 80)} {plain(first.reason, 200)}; name others")
        found.append(manifest)
    return found


def streams(found: Sequence[Manifest]) -> list[Stream]:
    """Each recording whole, with nothing in it."""
    return [
        replace(stream, truth=(), group="")
        for manifest in found
        for stream in joined(manifest.records, partial(ingest.open_record, manifest))
    ]


def told(found: Sequence[Manifest]) -> list[str]:
    """Of `sandgrain data`: how much there is."""
    if not found:
        return []
    seconds = sum(r.shape[0] / r.rate for m in found for r in m.records if r.rate)
    count, bad = sum(len(m.records) for m in found), sum(len(m.bad) for m in found)
    unread = f"; {bad} could not be read" if bad else ""
    return [f"{count:,} recordings with nothing in them ({span(seconds)}), for false alarms alone (negatives){unread}"]
