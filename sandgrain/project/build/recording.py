"""A long recording for keywords: test recordings one after another in an order of its own, with silence or background between.

A model that measures the sound against a start, or against what was just before, hears the start of the first recording in front, as a
device that is switched on in a room. All else is measured against that, and not each recording against its own start as its windows are.

Nothing but the plan is held: `pieces` opens one recording at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import generator
from sandgrain.graph.decisions import Event
from sandgrain.project.build.samples import Samples

GAP = (0.5, 1.5)  # windows between two recordings, drawn from this range
BEHIND = 2  # windows of silence at the end, so that the last recording can be decided for
LONGEST = 8  # windows of a recording that are taken
BACKGROUNDS = 8  # background recordings, at most, that gaps are cut from
SILENCE, NOISE = "silence", "background recordings, which training mixes in, too"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """`parts`: (samples of the gap before it, recording, samples of it that are taken). `samples` in all, at `rate` Hz.

    `events`: the recordings whose labels are none of the background. `between`: what fills the gaps, for people.
    """

    parts: tuple[tuple[int, Record, int], ...]
    events: tuple[Event, ...]
    samples: int
    rate: float
    between: str
    end: int  # samples behind the last part
    lead: int = 0  # samples of the first recording that stand in front of all

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def planned(samples: Samples, background: tuple[int, ...], minutes: float, side: str = "test") -> Recording:
    """As many recordings of a side as `minutes` take, in an order that is the same for the same data. `background`: labels' numbers."""
    window, rate = samples.pipeline.signal.shape[0], samples.pipeline.signal.rate
    numbers = {label: k for k, label in enumerate(samples.found.labels)}
    records, draw = samples.records(side), generator("long recording")
    lead = samples.pipeline.lead
    at, end, most = lead, BEHIND * window, int(minutes * 60 * rate)
    parts, events = [], []
    for k in draw.permutation(len(records)).tolist():
        record = records[k]
        taken, gap = min(record.shape[0], LONGEST * window), int(draw.uniform(*GAP) * window)
        if at + gap + taken + end > most:
            break
        parts.append((gap, record, taken))
        if numbers[record.label] not in background:
            events.append(Event(numbers[record.label], (at + gap) / rate, (at + gap + taken) / rate))
        at += gap + taken
    between = NOISE if samples.found.loaded.project.data.background else SILENCE
    return Recording(tuple(parts), tuple(events), at + end, rate, between, end, lead if parts else 0)


def times(samples: Samples, results: int) -> Array:
    """When the results of a stream come, seconds from its start, float64 [results]."""
    first = samples.pipeline.lead + samples.pipeline.signal.shape[0]
    found: Array = (first + samples.stride * np.arange(results)) / samples.pipeline.signal.rate
    return found


def pieces(recording: Recording, samples: Samples) -> Iterator[Array]:
    """The samples, int16 [n, channels], one gap or recording at a time."""
    draw = generator("gaps of the long recording")
    noises, channels = samples.background(BACKGROUNDS), samples.pipeline.signal.shape[1]

    def gap(length: int) -> Array:
        if not noises:
            return np.zeros((length, channels), np.int16)
        noise = noises[int(draw.integers(len(noises)))]
        start = int(draw.integers(max(len(noise) - length, 0) + 1))
        return np.resize(noise[start : start + length], (length, channels))  # a short one is repeated

    if recording.lead:
        yield np.resize(samples.lead(recording.parts[0][1]), (recording.lead, channels))  # a short one is repeated
    for before, record, taken in recording.parts:
        yield gap(before)
        yield samples.opened(record)[:taken]
    yield gap(recording.end)
