"""A detector of anomalies over long recordings, heard as the device hears them.

The C on this computer runs over each whole recording. A result speaks for the samples since the one before it, so each moment is
judged by what the device says when it has heard it, as a table of rows is judged row by row. An event is a stretch that is not
normal; the first alarm in it, up to a window late, finds it. An alarm that begins where all is normal is a false one.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import plain, printable, tenths
from sandgrain.bundle import store
from sandgrain.bundle.listening import Heard
from sandgrain.dataset.tracks import Stretch
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.project import score
from sandgrain.project.normal import by_name
from sandgrain.project.score import Hears
from sandgrain.project.streams import Stream, merged, shares
from sandgrain.project.traces import Trace
from sandgrain.project.watched import Alarms, Moments, Watched, WatchedOne
from sandgrain.train import scores as measures

DRAWS = 1000  # of the bootstrap over recordings
FEW = 5  # recordings: below, none are drawn


# --- one recording -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """What a detector is, as far as its results are judged. `window`: samples. `skip_s`: seconds at a recording's start that are
    heard and not judged."""

    window: int
    threshold: int
    normal: tuple[str, ...]
    skip_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Spans:
    """The time that each result of a recording speaks for, and what is true of it: seconds, float64 [n]."""

    ends: Array
    scores: Array  # int64 [n]
    alarms: Array  # bool [n]
    normal: Array  # seconds that are normal
    strange: Array  # and that are not


@dataclass(slots=True, eq=False)
class Tally:
    """What is counted over all recordings."""

    spans: list[_Spans] = field(default_factory=list)
    recordings: list[WatchedOne] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    events: dict[str, list[float | None]] = field(default_factory=dict)  # label -> the delay of each event, None: missed
    traces: list[Trace] = field(default_factory=list)
    results: int = 0
    seconds: float = 0.0
    unknown: list[str] = field(default_factory=list)  # recordings of which nothing is known

    def hear(self, streams: Sequence[Stream], guard: Guard, listener: Hears, progress: Progress = silent) -> None:
        """Hear each recording and count. `streams`: at the listener's rate, with its channels."""
        owners = _owners(streams)
        for k, (stream, owner) in enumerate(zip(streams, owners, strict=True)):
            progress("listening", k, len(streams))
            heard = score.heard(stream, listener)
            self.seconds += stream.seconds
            self.results += len(heard["scores"])
            self.traces.append(_trace(stream, heard, guard))
            if stream.truth:
                self._count(stream, heard, guard, listener.spacing)
                self.owners.append(owner)
            else:
                self.unknown.append(stream.name)

    def add(self, other: Tally) -> None:
        """Count what another one has counted, too."""
        self.spans += other.spans
        self.recordings += other.recordings
        self.owners += other.owners
        self.traces += other.traces
        self.unknown += other.unknown
        self.results += other.results
        self.seconds += other.seconds
        for label, delays in other.events.items():
            self.events[label] = [*self.events.get(label, []), *delays]

    def _count(self, stream: Stream, heard: Heard, guard: Guard, spacing: int) -> None:
        normal, strange = told_apart(stream, guard.normal)
        spans = _spans(stream, heard, guard, spacing, (normal, strange))
        slack = guard.window / stream.rate
        events = [s for s in strange if s.end > guard.skip_s]
        delays = [_delay(spans, max(s.start, guard.skip_s), s.end + slack) for s in events]
        for s, late in zip(events, delays, strict=True):
            self.events.setdefault(s.label, []).append(late)
        false = _false_alarms(spans, strange, slack)
        hits = sum(late is not None for late in delays)
        self.spans.append(spans)
        self.recordings.append(WatchedOne(stream.name, _moments(spans), _auc([spans]), len(events), hits, false))


def told_apart(stream: Stream, normal: Sequence[str]) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
    """(normal stretches, anomalies) of a recording that has a truth. Where that names anomalies alone, all else is normal."""
    quiet = tuple(s for s in stream.truth if s.label in normal)
    strange = tuple(s for s in stream.truth if s.label not in normal)
    if quiet:
        return quiet, strange
    found, at = [], 0.0
    for s in merged(Stretch(s.start, s.end, "") for s in strange):
        if s.start > at:
            found.append(Stretch(at, s.start, ""))
        at = max(at, s.end)
    return (*found, *([Stretch(at, stream.seconds, "")] if at < stream.seconds else [])), strange


def _spans(
    stream: Stream, heard: Heard, guard: Guard, spacing: int, truth: tuple[Sequence[Stretch], Sequence[Stretch]]
) -> _Spans:
    ends = heard["samples"] / stream.rate
    starts = np.maximum(np.maximum(ends - spacing / stream.rate, np.append(0.0, ends[:-1])), guard.skip_s)
    length = np.maximum(ends - starts, 0.0)
    normal, strange = (_covered(part, starts, ends) * length for part in truth)
    normal = np.minimum(normal, length - np.minimum(strange, length))  # where both are said, it is an anomaly
    scores = heard["scores"].reshape(-1).astype(np.int64)
    return _Spans(ends, scores, scores > guard.threshold, normal, strange)


def _covered(truth: Sequence[Stretch], starts: Array, ends: Array) -> Array:
    """The share of each span that any of these stretches covers, float64 [n]."""
    return shares([Stretch(s.start, s.end, "") for s in truth], [""], starts, ends)[:, 0]


def _moments(x: _Spans) -> Moments:
    on = x.alarms
    return Moments(*(float(v) for v in (x.strange[on].sum(), x.strange[~on].sum(), x.normal[on].sum(), x.normal[~on].sum())))


def _delay(x: _Spans, start: float, end: float) -> float | None:
    """Seconds from `start` to the first alarm up to `end`; None where there is none."""
    found = np.flatnonzero(x.alarms & (x.ends > start) & (x.ends <= end))
    return float(x.ends[found[0]] - start) if len(found) else None


def _false_alarms(x: _Spans, strange: Sequence[Stretch], slack: float) -> int:
    """Alarms that began in normal time: behind a result without one, and where no anomaly can be in the window."""
    excused = np.zeros(len(x.ends), bool)
    for s in strange:
        excused |= (x.ends > s.start) & (x.ends <= s.end + slack)
    begins = x.alarms & ~np.append(False, x.alarms[:-1])
    return int((begins & ~excused & (x.normal > 0)).sum())


def _auc(found: Sequence[_Spans]) -> float | None:
    """Of the results that speak for one kind of time, or mostly."""
    scores = np.concatenate([x.scores for x in found]) if found else np.zeros(0)
    normal = np.concatenate([x.normal for x in found]) if found else scores
    strange = np.concatenate([x.strange for x in found]) if found else scores
    low, high = scores[normal > strange], scores[(strange >= normal) & (strange > 0)]
    return measures.auc(low, high) if len(low) and len(high) else None


def _trace(stream: Stream, heard: Heard, guard: Guard) -> Trace:
    scores = heard["scores"].reshape(-1).astype(np.float64)
    truth = told_apart(stream, guard.normal)[1] if stream.truth else ()
    times = heard["samples"] / stream.rate
    return Trace.thinned(stream.name, stream.seconds, times, scores, truth, limit=float(guard.threshold))


def _owners(streams: Sequence[Stream]) -> list[str]:
    """Whose each recording is: its group, or its folder where there are several; "" for nobody's."""
    if any(s.group for s in streams):
        return [s.group for s in streams]
    folders = [s.name.rpartition("/")[0] for s in streams]
    return folders if len(set(folders)) > 1 else [""] * len(streams)


# --- all of them -------------------------------------------------------------------------------------------------------------


def is_detector(bundle: store.Bundle) -> bool:
    """Whether its C gives a score with a threshold."""
    return bundle.compiled.source.options.threshold is not None


def front_of(bundle: store.Bundle) -> FrontEnd:
    """The features of a detector. Raises UsageError for one that takes no samples."""
    front = bundle.origin.front
    if front is None:
        raise UsageError("the bundle takes no samples of a signal; compile it with features, or build a project")
    return front


def guard_of(bundle: store.Bundle, streams: Sequence[Stream], normal: Sequence[str], skip_s: float) -> Guard:
    """How a bundle's results are judged. `normal`: labels that are no anomaly; (): those that say so by themselves.

    Raises UsageError where nothing says what an anomaly is.
    """
    limit = bundle.compiled.source.options.threshold
    assert limit is not None
    return Guard(front_of(bundle).pipeline.signal.shape[0], limit, normal_labels(streams, normal), skip_s)


def normal_labels(streams: Sequence[Stream], named: Sequence[str]) -> tuple[str, ...]:
    """The labels of the truth that are no anomaly: those `named`, or those that say so by themselves. Raises UsageError."""
    labels = {s.label for stream in streams for s in stream.truth}
    if not labels:
        raise UsageError(
            "no recording says what an anomaly is: put NAME.csv with start, end and label beside NAME, name a column with "
            "--label-column, or say --rest normal where all is normal"
        )
    for name in named:
        if name not in labels:
            told = ", ".join(printable(label) for label in sorted(labels)[:8])
            raise UsageError(f"--normal: no recording has the label {printable(name)}; they have {told}")
    if named:
        return tuple(named)
    own = by_name(labels)
    if not own and all(_covered_whole(stream) for stream in streams if stream.truth):
        told = ", ".join(printable(label) for label in sorted(labels)[:8])
        raise UsageError(f"nothing says which of the labels is normal ({told}); name it with --normal")
    return own


def _covered_whole(stream: Stream) -> bool:
    """Whether every moment has a label."""
    return bool(_covered(stream.truth, np.zeros(1), np.array([stream.seconds]))[0] > 1 - 1e-6)


def watched(
    bundle: store.Bundle,
    streams: Sequence[Stream],
    guard: Guard,
    listener: Hears,
    notes: tuple[str, ...] = (),
    progress: Progress = silent,
) -> Watched:
    """Hear each recording and count. `streams`: at the bundle's rate, with its channels. `notes`: what the reader left out."""
    tally = Tally()
    tally.hear(streams, guard, listener, progress)
    return summed(tally, (bundle.compiled.source.options.name, bundle.board.name), guard, notes)


def summed(tally: Tally, named: tuple[str, str], guard: Guard, notes: tuple[str, ...] = ()) -> Watched:
    """What was counted, as figures. `named`: of the bundle and of its target."""
    moments = sum((r.moments for r in tally.recordings), Moments())
    found = Watched(
        name=named[0],
        target=named[1],
        seconds=tally.seconds,
        results=tally.results,
        threshold=guard.threshold,
        normal=guard.normal,
        moments=moments,
        interval=_interval([r.moments for r in tally.recordings]),
        auc=_auc(tally.spans),
        events=tuple(_alarms(label, delays) for label, delays in sorted(tally.events.items())),
        false=sum(r.false for r in tally.recordings),
        recordings=tuple(tally.recordings),
        groups=_grouped(tally),
        traces=tuple(tally.traces),
    )
    return replace(found, notes=(*notes, *_doubts(found, tally)))


def _alarms(label: str, delays: Sequence[float | None]) -> Alarms:
    known = [late for late in delays if late is not None]
    return Alarms(label, len(delays), len(known), statistics.median(known) if known else None)


def _grouped(tally: Tally) -> tuple[WatchedOne, ...]:
    by: Mapping[str, list[int]] = {name: [] for name in sorted(set(tally.owners)) if name}
    for k, name in enumerate(tally.owners):
        if name:
            by[name].append(k)
    found = []
    for name, places in by.items():
        own = [tally.recordings[k] for k in places]
        moments = sum((r.moments for r in own), Moments())
        counts = (sum(r.events for r in own), sum(r.hits for r in own), sum(r.false for r in own))
        found.append(WatchedOne(name, moments, _auc([tally.spans[k] for k in places]), *counts))
    return tuple(sorted(found, key=lambda r: (2.0 if r.moments.f1 is None else r.moments.f1, r.name)))


def _interval(found: Sequence[Moments]) -> tuple[float, float] | None:
    """Of F1, 95 %: whole recordings are drawn anew, as the moments of one resemble one another."""
    if len(found) < FEW or not any(m.hit + m.missed for m in found):
        return None
    parts = np.array([[2 * m.hit, 2 * m.hit + m.missed + m.false] for m in found])
    drawn = np.random.default_rng(0).integers(len(found), size=(DRAWS, len(found)))
    sums = parts[drawn].sum(1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1e-12), [2.5, 97.5])
    return float(low), float(high)


def _doubts(found: Watched, tally: Tally) -> Iterator[str]:
    """One line for each thing that the figures would not say by themselves."""
    m = found.moments
    if tally.unknown:
        names = ", ".join(plain(name, 40) for name in tally.unknown[:3])
        more = f" and {len(tally.unknown) - 3} more" if len(tally.unknown) > 3 else ""
        yield f"nothing is known of {names}{more}: heard and not counted; --rest normal counts all as normal"
    if m.f1 is not None and m.always is not None and m.f1 <= m.always:
        yield f"F1 {m.f1:.3f} is not above {m.always:.3f}, which an alarm that never ends would give"
    if m.false_share is not None and m.recall is not None and m.recall <= m.false_share:
        yield f"alarms are as frequent where all is normal ({tenths(m.false_share)}) as in anomalies ({tenths(m.recall)})"
    if found.auc is not None and found.auc < 0.5:
        yield "AUC below 0.5: anomalies score lower than what is normal"
