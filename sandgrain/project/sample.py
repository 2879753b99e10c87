"""Some windows of a project's data, spread over all of it: what a quick look and a search are content with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import ingest, targets
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import Run, Window, Windowing, count, owned, skipped, windows_in, windows_of, with_lead
from sandgrain.project import features
from sandgrain.project import numbers as numbers_to_give
from sandgrain.project.build.samples import parts_of
from sandgrain.project.inspection import Inspection

ROOM = 20  # times the windows that are taken: of so many of a stream they are chosen
LEAST = 60  # windows of a rare label that are taken, where it has so many
MOST_BYTES = 1 << 26  # of all windows that are held


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """`x`: windows as the sensor gives them, [n, *signal shape], each with its lead in front, where windows have one; `y`: the places of their labels in `labels`, int64 [n].

    `records`: the place of each window's recording among those that were given, int64 [n]. `total`: windows that there are. `numbers`:
    those that a model is to give, float64 [n]; None where it is to give labels.
    """

    x: Array
    y: Array
    records: Array
    labels: tuple[str, ...]
    total: int
    numbers: Array | None = None


def sampled(found: Inspection, records: Sequence[Record], most: int) -> Sample | None:
    """At most about `most` windows of `records`, each label's share of them kept but for rare ones, which give LEAST.

    The windows of a label are spread evenly over all that it has. None where there is no window. The same data give the same windows.
    """
    data = found.loaded.project.data
    windowing = features.windowing_of(data, found.loaded.blocks, records[0].rate) if records else None
    items = features.items_of(records, data)
    owner, item, start, thinned = _windows(items, {r.key: k for k, r in enumerate(records)}, windowing, ROOM * most)
    if not len(owner):
        return None
    names = {label: k for k, label in enumerate(found.labels)}
    y = np.array([names[r.label] for r in records], np.int64)[owner]
    shape = features.signal_of(records, data).shape
    most = max(
        min(most, MOST_BYTES // max(int(np.prod((shape[0] + (windowing.lead if windowing else 0), *shape[1:]))) * 2, 1)),
        2 * len(names),
    )
    places = np.sort(np.concatenate([_spread(np.flatnonzero(y == k), most, len(y), len(names)) for k in range(len(names))]))
    leads = features.leads_of(found.manifest, windowing)
    asked = targets.asked(found.manifest.layout)
    rows: list[Array] = []
    numbers: list[Array] = []
    for k in np.unique(item[places]).tolist():
        x = np.concatenate([ingest.open_record(found.manifest, r) for r in parts_of(items[k])])
        ahead = None if leads is None else leads.ahead(items[k])
        own = [_window(items[k], s, windowing) for s in start[places[item[places] == k]].tolist()]
        rows += [with_lead(x, window, windowing, ahead) for window in own]
        if asked:
            numbers.append(numbers_to_give.of_these(found.manifest, items[k], own))
    told = np.concatenate(numbers) if asked else None
    return Sample(np.stack(rows), y[places], owner[places], found.labels, len(y) * thinned, told)


def _windows(
    items: Sequence[Record | Run], numbers: Mapping[str, int], windowing: Windowing | None, room: int
) -> tuple[Array, Array, Array, int]:
    """Of each window: the number of its recording, of what it is cut from, and its first sample, int64 [n] each; and of how many it is one.

    Of more than `room` windows only every so manieth is looked at.
    """
    rows: list[tuple[Array, int, Array]] = []
    thinned, step = 1, 0
    if windowing is not None:
        step = windowing.stride or windowing.length
        thinned = max(sum(item.shape[0] for item in items) // (step * room), 1) if _long(items) else 1
        step *= thinned
        windowing = replace(windowing, stride=step)
    for k, item in enumerate(items):
        if isinstance(item, Run):
            own = owned(item, windowing)
            rows.append((np.array([numbers[r.key] for r, _ in own], np.int64), k, np.array([w.start for _, w in own], np.int64)))
        else:
            starts = _starts(item, windowing, step)
            rows.append((np.full(len(starts), numbers[item.key], np.int64), k, starts))
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), 1
    of_items = np.repeat([k for _, k, _ in rows], [len(owner) for owner, _, _ in rows])
    return np.concatenate([owner for owner, _, _ in rows]), of_items, np.concatenate([start for _, _, start in rows]), thinned


def _starts(record: Record, windowing: Windowing | None, step: int) -> Array:
    """The first sample of each window of a recording, int64 [n]."""
    if record.unknown is not None:
        return np.array([w.start for w in windows_in(record, windowing)], np.int64)
    return (0 if windowing is None else skipped(windowing, record.before)) + step * np.arange(count([record], windowing))


def _long(items: Sequence[Record | Run]) -> bool:
    """Whether windows are looked at one by one, as those over changes are."""
    return any(isinstance(item, Run) for item in items)


def _window(item: Record | Run, start: int, windowing: Windowing | None) -> Window:
    """The window of `item` that begins at `start`, or the only one of what is no longer than that."""
    if windowing is None or item.shape[0] < start + windowing.length:
        return windows_of(item.shape, windowing, item.before)[0]
    return Window(start, start + windowing.length)


def _spread(own: Array, most: int, total: int, labels: int) -> Array:
    """Some of a label's windows `own`, evenly: its share of `most` of all `total`, or LEAST of a rare one."""
    wanted = min(max(round(most * len(own) / total), min(LEAST, most // labels)), len(own))
    found: Array = own[np.unique(np.linspace(0, len(own) - 1, wanted).round().astype(int))] if wanted else own[:0]
    return found
