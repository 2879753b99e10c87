"""Several sensors as one recording: on one grid, cut to the time that all share, channels behind each other.

acc.csv, 100 Hz, 0.0 to 9.8 s    gyro.csv, 50 Hz, 0.3 to 10.1 s    rate = 50:  one recording, 0.3 to 9.8 s, acc.x ... gyro.z
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.dataset import grid, sensors
from sandgrain.dataset.readers.base import MAX_RECORDS, MAX_VALUES, BadFileError, Sample, Series, check_values
from sandgrain.dataset.records import Layout
from sandgrain.dataset.tables import TIMED, TableOptions

UNLIKE = 0.01  # how far lengths may differ where there are no times, as a share; what is longer is cut
LOST = 0.01  # share of the time of the longest sensor that may be cut without a word, and
LOST_STEPS = 2  # steps of the grid

Read = Callable[[Path, str, Layout], Iterator[Sample]]


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """A sensor's rows. `data`: int16 [n, channels]."""

    name: str
    data: Array
    series: Series
    note: str
    clipped: int


@dataclass(slots=True)
class Giver:
    """The sensor whose rows say the label, if there is one; `left`: samples of the grid without one."""

    name: str = ""
    times: Array | None = None
    codes: Array | None = None
    texts: tuple[str, ...] = ()
    left: int = field(default=0)


def read(root: Path, path: str, layout: Layout, read_file: Read) -> Iterator[Sample]:
    """The recordings that file `path` and those of its other sensors hold. Raises BadFileError that names the sensor."""
    own, table = layout.get(sensors.SensorOptions), layout.get(TableOptions)
    column = "" if layout.labels else table.label_column
    labelled = ((sensors.owner(column, layout) if sensors.in_files(layout) else "") or own.sensors[0]) if column else ""
    parts: list[Sensor] = []
    for name in sensors.in_files(layout) or own.sensors:
        file = path if own.sensor_column else sensors.file_of(path, name, layout)
        said = name if file == path else f"{name} ({posixpath.basename(file)})"
        whole = _whole(root, file, sensors.layout_of(layout, name, name == labelled), read_file, said)
        parts.append(Sensor(name, whole.data, whole.series or Series(), whole.note, whole.clipped))
        if sum(part.data.size + TIMED * len(part.data) for part in parts) > 2 * MAX_VALUES:
            raise BadFileError(f"its sensors have more than {2 * MAX_VALUES} values; cut the recording")
    giver = next((Giver(p.name, p.series.times, p.series.labels, p.series.texts) for p in parts if p.name == labelled), Giver())
    waves = [p for p in parts if p.name in own.sensors]
    timed = [p.series.times is not None for p in waves]
    if any(timed) and not all(timed):
        raise BadFileError(f"sensor {plain(waves[timed.index(False)].name, 40)} has no times, and others have; set time_column")
    made = _on_one_grid(waves, giver, layout.rate) if all(timed) else _by_rows(waves, giver, layout.rate)
    yield from _numbered(made, parts, giver)


def _whole(root: Path, file: str, layout: Layout, read_file: Read, said: str) -> Sample:
    """The one recording in a sensor's file. `layout`: how that file alone is read; `said`: what errors call the sensor."""
    whole: Sample | None = None
    try:
        for sample in read_file(root, file, layout):
            if whole is not None:
                raise BadFileError("holds several recordings; a sensor's file holds one")
            whole = sample
    except BadFileError as error:
        raise BadFileError(f"{plain(f'sensor {said}', 120)}: {error}") from None
    assert whole is not None  # a reader gives one, or says why not
    return whole


def _numbered(made: Iterator[Sample], parts: Sequence[Sensor], giver: Giver) -> Iterator[Sample]:
    """The recordings; the last with what was odd about the sensors, the first with what was clipped."""
    said = [f"{plain(p.name, 40)}: {p.note}" for p in parts if p.note]
    clipped, held = sum(p.clipped for p in parts), None
    for sample in made:
        if held is not None:
            yield held
        held, clipped = replace(sample, clipped=clipped), 0
        if sample.index > MAX_RECORDS:
            raise BadFileError(f"has more than {MAX_RECORDS} recordings")
    if held is None:
        raise BadFileError(f"sensor {plain(giver.name, 40)} gives no label of the time that is shared")
    said += [f"{giver.left} samples have no label, and are left out"] if giver.left else []
    yield replace(held, note="; ".join(filter(None, (*said, held.note))))


def _by_rows(waves: Sequence[Sensor], giver: Giver, rate: float) -> Iterator[Sample]:
    """Row by row, where there are no times: sensors of one rate have one length."""
    lengths = [len(p.data) for p in waves]
    rows, longest = min(lengths), max(lengths)
    if longest - rows > max(1, UNLIKE * longest):
        some = ", ".join(f"{plain(p.name, 40)} {n}" for p, n in list(zip(waves, lengths, strict=True))[:8])
        raise BadFileError(
            f"its sensors have other numbers of rows ({some}) and no times; set time_column, or leave one out (sensors)"
        )
    note = f"the last {longest - rows} rows of the longer sensor are left out" if longest > rows else ""
    data = np.concatenate([p.data[:rows] for p in waves], axis=1)
    check_values(*data.shape)
    codes = giver.codes
    if codes is not None and len(codes) < rows:
        raise BadFileError(f"sensor {plain(giver.name, 40)} has {len(codes)} labels for {rows} rows, and there are no times")
    whole = Sample(data, rate, note=note)
    yield from _cut(whole, None if codes is None else codes[:rows], giver, 0)


def _on_one_grid(waves: Sequence[Sensor], giver: Giver, rate: float) -> Iterator[Sample]:
    """By their times."""
    times = [_times(p) for p in waves]
    found = [grid.parts(t, rate) for t in times]
    for part, rows in zip(waves, found, strict=True):
        if not rows.rows:
            raise BadFileError(f"sensor {plain(part.name, 40)} has no two rows with growing times")
    spans = [[(float(t[r[0]]), float(t[r[-1]])) for r in f.rows] for t, f in zip(times, found, strict=True)]
    shared = [s for s in _shared(spans) if grid.steps_between(*s[0], rate) > 1]
    if not shared:
        shown = ", ".join(
            f"{plain(p.name, 40)} {s[0][0]:.10g} to {s[-1][1]:.10g} s" for p, s in list(zip(waves, spans, strict=True))[:6]
        )
        raise BadFileError(f"no time is shared by its sensors ({shown}); their clocks must be the same (time_column, time_unit)")
    channels, number, origin = sum(p.data.shape[1] for p in waves), 0, min(s[0][0] for s in spans)
    note = _said(waves, found, spans, shared, rate)
    for k, ((start, end), which) in enumerate(shared):
        count = grid.steps_between(start, end, rate)
        check_values(count, channels)
        at = start + np.arange(count) / rate
        data = np.concatenate(
            [grid.on_lines(at, t[f.rows[w]], p.data[f.rows[w]]) for p, t, f, w in zip(waves, times, found, which, strict=True)],
            axis=1,
        )
        whole = Sample(data, rate, note=note if k + 1 == len(shared) else "", start=start, origin=origin)
        number += k > 0  # what lies behind a gap does not follow
        for piece in _cut(whole, _labels_at(giver, at), giver, number):
            number = piece.index or number + 1
            yield replace(piece, index=number if len(shared) > 1 or giver.name else 0)


def _times(part: Sensor) -> Array:
    assert part.series.times is not None
    return part.series.times


def _shared(spans: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[tuple[float, float], tuple[int, ...]]]:
    """((start, end), the part of each sensor) of each time that parts of all sensors cover."""
    made: list[tuple[tuple[float, float], tuple[int, ...]]] = [(span, (k,)) for k, span in enumerate(spans[0])]
    for own in spans[1:]:
        order = sorted(range(len(own)), key=lambda k: own[k])
        both, first = [], 0
        for (start, end), which in sorted(made):
            while first < len(order) and own[order[first]][1] < start:
                first += 1
            for k in order[first:]:
                a, b = own[k]
                if a > end:
                    break
                if min(b, end) > max(a, start):
                    both.append(((max(a, start), min(b, end)), (*which, k)))
            if len(both) > MAX_RECORDS:
                raise BadFileError(f"has more than {MAX_RECORDS} recordings between gaps")
        made = both
    return sorted(made)


def _said(
    waves: Sequence[Sensor],
    found: Sequence[grid.Parts],
    spans: Sequence[Sequence[tuple[float, float]]],
    shared: Sequence[tuple[tuple[float, float], tuple[int, ...]]],
    rate: float,
) -> str:
    """What the sensors lose by being joined."""
    said = [f"{plain(p.name, 40)}: {f.note}" for p, f in zip(waves, found, strict=True) if f.note]
    covered = [sum(end - start for start, end in s) for s in spans]
    longest, left = max(covered), sum(end - start for (start, end), _ in shared)
    if longest - left > max(LOST * longest, LOST_STEPS / rate):
        who = plain(waves[covered.index(longest)].name, 40)
        said.append(f"cut to the {left:.4g} s that all sensors share, of {longest:.4g} s of {who}")
    return "; ".join(said)


def _labels_at(giver: Giver, at: Array) -> Array | None:
    """int32 [n]: which label holds at each time, the last that was said; -1 before the first."""
    if giver.codes is None:
        return None
    if giver.times is None:
        raise BadFileError(f"sensor {plain(giver.name, 40)} gives labels and has no times; set time_column")
    order = np.argsort(giver.times, kind="stable")
    last = np.searchsorted(giver.times[order], at + 1e-9, "right") - 1
    return np.where(last < 0, -1, giver.codes[order][np.maximum(last, 0)])


def _cut(whole: Sample, codes: Array | None, giver: Giver, number: int) -> Iterator[Sample]:
    """A recording, or its stretches of one label, numbered from `number` + 1. What has no label is left out, and counted."""
    if codes is None:
        yield whole
        return
    texts = giver.texts
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    good = [(a, b) for a, b in pairwise(edges) if codes[a] >= 0 and texts[codes[a]].strip()]
    giver.left += len(codes) - sum(b - a for a, b in good)
    before = 0
    for a, b in good:
        number += 1 + (a > before > 0)  # behind a hole a number is left out
        before = b
        note = whole.note if (a, b) == good[-1] else ""
        yield replace(whole, data=whole.data[a:b], index=number, label=texts[codes[a]], note=note)
