"""Recordings with one event each at a time that nobody noted, cut to the window around it: where the samples are largest.

How large a sample is: the sum of the squares of its channels' int16 values. `NAME_is_centred` of the emitted C asks the same on the board.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.dataset import kinds
from sandgrain.dataset.npz_streams import NpzOptions
from sandgrain.dataset.readers.base import BadFileError, Sample
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.tables import Scale, TableOptions

PEAK = "peak"
ACCELERATIONS = frozenset(("g", "mg", "m/s2", "m/s^2", "m/s\u00b2", "m/s/s"))


@dataclass(frozen=True, slots=True)
class CenterOptions:
    """Which part of a recording is wanted."""

    center: str = option(
        "",
        "Sensors: `peak` keeps of each recording the `event_s` around its largest sample, by the sum of the squares of `center_channels`: for one "
        "event each at a time that nobody noted, such as a fall. NAME.h gets a function that says when the board has such a window.",
    )
    center_channels: tuple[str, ...] = option(
        (),
        "With `center`: the channels whose squares count, by their names in `columns` or their numbers, from 0 on. Empty: those whose "
        "unit is one of acceleration, or all.",
    )


def check(layout: Layout) -> None:
    """Raises UsageError for a layout that contradicts itself."""
    options, kind = layout.get(CenterOptions), kinds.of(layout.kind)
    if options.center not in ("", PEAK):
        raise UsageError(f'center is "{PEAK}", or left out')
    if options.center and (not kind.sampled or kind.mono):
        raise UsageError(f"center is for sensors, not for {kind.noun} of {layout.kind}")
    if options.center and not layout.get(NpzOptions).event_s > 0:
        raise UsageError("center needs event_s, the seconds around the peak")
    if options.center_channels and not options.center:
        raise UsageError(f'center_channels goes with center = "{PEAK}"')


def channels_of(layout: Layout, count: int) -> tuple[int, ...]:
    """Which of `count` channels say how large a sample is: those that are named, else accelerations by their unit, else all. Raises BadFileError."""
    names, units = layout.get(TableOptions).columns, layout.get(Scale).units
    chosen = []
    for name in layout.get(CenterOptions).center_channels:
        if name in names and len(names) == count:
            chosen.append(names.index(name))
        elif name.isdecimal() and len(name) < 6 and int(name) < count:
            chosen.append(int(name))
        else:
            raise BadFileError(
                f"center_channels: {name[:40]!r} is no channel; give names from columns, or numbers from 0 to {count - 1}"
            )
    units = units * count if len(units) == 1 else units
    own = [k for k, unit in enumerate(units) if unit.lower() in ACCELERATIONS] if len(units) == count else []
    return tuple(dict.fromkeys(chosen)) or tuple(own) or tuple(range(count))


def sizes(data: Array, channels: Sequence[int]) -> Array:
    """int64 [n]: how large each sample of int16 [n, channels] is."""
    found: Array = (data[:, list(channels)].astype(np.int64) ** 2).sum(axis=1)
    return found


@dataclass(slots=True)
class _Told:
    short: int = 0
    edge: int = 0

    def note(self, seconds: float) -> str:
        said = [f"{self.short} recordings are shorter than {seconds:g} s (event_s), and are left out"] if self.short else []
        said += [f"{self.edge} recordings are largest so near to an end that the next largest is taken"] if self.edge else []
        return "; ".join(said)


def around(samples: Iterable[Sample], layout: Layout) -> Iterator[Sample]:
    """Each recording as the window around its largest sample that a whole window fits around; the last says what could not be. Raises BadFileError."""
    seconds, told, held = layout.get(NpzOptions).event_s, _Told(), None
    for sample in samples:
        rate = sample.rate or layout.rate
        if not rate:
            raise BadFileError("does not say its sampling rate, and event_s is in seconds; set rate")
        if not math.isfinite(seconds * rate):
            raise BadFileError("event_s is longer than any recording")
        made = _cut(sample, max(1, round(seconds * rate)), layout, told)
        if made is None:
            continue
        if held is not None:
            yield held
        held = made
    if held is None:
        raise BadFileError(f"has no recording as long as event_s, {seconds:g} s")
    yield replace(held, note="; ".join(filter(None, (held.note, told.note(seconds)))))


def _cut(sample: Sample, length: int, layout: Layout, told: _Told) -> Sample | None:
    rows, half = len(sample.data), length // 2
    if rows < length:
        told.short += 1
        return None
    large = sizes(sample.data, channels_of(layout, sample.data.shape[1]))
    start = int(np.argmax(large[half : rows - length + half + 1]))
    told.edge += int(large.max()) > int(large[start + half])
    numbers = sample.numbers
    if numbers is not None and len(numbers) == rows > 1:
        numbers = numbers[start : start + length].copy()
    return replace(sample, data=sample.data[start : start + length].copy(), start=math.nan, numbers=numbers)
