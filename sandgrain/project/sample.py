"""Some windows of a project's data, spread over all of it: what a quick look and a search are content with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import ingest
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import Window, count, cut, windows_of
from sandgrain.project import features
from sandgrain.project.inspection import Inspection

LEAST = 60  # windows of a rare label that are taken, where it has so many
MOST_BYTES = 1 << 26  # of all windows that are held
MOST_RECORDS = 1500  # that are opened


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """`x`: windows as the sensor gives them, [n, *signal shape]; `y`: the places of their labels in `labels`, int64 [n].

    `records`: the place of each window's recording among those that were given, int64 [n]. `total`: windows that there are.
    """

    x: Array
    y: Array
    records: Array
    labels: tuple[str, ...]
    total: int


def sampled(found: Inspection, records: Sequence[Record], most: int) -> Sample | None:
    """At most about `most` windows of `records`, each label's share of them kept but for rare ones, which give LEAST.

    The windows of a label are spread evenly over its recordings, of which no more than MOST_RECORDS are opened. None where there is
    no window. The same data give the same windows.
    """
    windowing = features.windowing_of(found.loaded.project.data, records[0].rate) if records else None
    names = {label: k for k, label in enumerate(found.labels)}
    counts = np.array([count([r], windowing) for r in records], np.int64)
    y = np.array([names[r.label] for r in records], np.int64)
    total = int(counts.sum())
    if not total:
        return None
    shape = features.signal_of(records, found.loaded.project.data).shape
    most = max(min(most, MOST_BYTES // max(int(np.prod(shape)) * 2, 1)), 2 * len(names))
    chosen: list[tuple[int, int]] = []  # (record, window of it)
    for label in range(len(names)):
        own = np.flatnonzero((y == label) & (counts > 0))
        there = int(counts[own].sum())
        wanted = min(max(round(most * there / total), min(LEAST, most // len(names))), there)
        chosen += _spread(own, counts[own], wanted, max(MOST_RECORDS * there // total, 8))
    chosen.sort()
    fill = "zero" if windowing is None else windowing.fill
    rows: list[Array] = []
    last, x, windows = -1, np.zeros(0), list[Window]()
    for k, w in chosen:
        if k != last:
            last, x = k, ingest.open_record(found.manifest, records[k])
            windows = windows_of(records[k].shape, windowing)
        rows.append(cut(x, windows[w], fill))
    of = np.array([k for k, _ in chosen], np.int64)
    return Sample(np.stack(rows), y[of], of, found.labels, total)


def _spread(own: Array, counts: Array, wanted: int, most: int) -> list[tuple[int, int]]:
    """`wanted` windows of these recordings, evenly, from `most` recordings at most: (recording, window)."""
    if not len(own) or not wanted:
        return []
    if len(own) > most:
        kept = np.unique(np.linspace(0, len(own) - 1, most).round().astype(int))
        own, counts = own[kept], counts[kept]
    ends = np.cumsum(counts)
    places = np.unique(np.linspace(0, ends[-1] - 1, min(wanted, int(ends[-1]))).round().astype(int))
    at = np.searchsorted(ends, places, side="right")
    return [(int(own[k]), int(p - (ends[k] - counts[k]))) for k, p in zip(at, places, strict=True)]
