"""How good a bundle is on long recordings, heard as the device hears them: windows that span a change count, too, and events.

The C on this computer runs over each whole recording. A result is of the window that ends with it: its truth is the label that most
of that window has. An event is a stretch of one label; the first decision for it, up to a window late, finds it, another one repeats
it, and one without an event of its label is a false alarm.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import number, plain, span, tenths
from sandgrain.bundle import store
from sandgrain.bundle.listening import Heard, Listener
from sandgrain.dataset import kinds
from sandgrain.dataset.tracks import Stretch
from sandgrain.graph.decisions import Event, Rule, matched
from sandgrain.graph.quantization import Quantization, dequantize
from sandgrain.project.build import figures, metrics
from sandgrain.project.streams import Stream, merged, shares
from sandgrain.project.traces import Trace

PURE = 0.999  # of a window with one label: from here on nothing of another one is in it
WORST = 6  # recordings that the text names


@dataclass(frozen=True, slots=True)
class OfEvents:
    """Events of one label, in all recordings."""

    label: str
    events: int
    hits: int
    repeats: int  # decisions for an event that had one
    false: int  # decisions without an event
    delay_s: float | None  # from an event's start to its decision, the median of those that were found

    @property
    def missed(self) -> int:
        return self.events - self.hits


@dataclass(frozen=True, slots=True)
class OfRecording:
    """One recording."""

    name: str
    seconds: float
    windows: int  # with a label
    accuracy: float | None
    events: int
    hits: int
    false: int


@dataclass(frozen=True, eq=False, repr=False)
class Scored(Shown):
    """What came of it. Shares are None where nothing is there to count."""

    name: str  # of the bundle
    target: str
    seconds: float  # of all recordings
    results: int  # of the stream
    windows: figures.Figures | None  # of the results with a label; None where there is none
    pure: tuple[int, float | None]  # windows with one label: how many, and their accuracy
    mixed: tuple[int, float | None]  # windows over a change
    events: tuple[OfEvents, ...]
    recordings: tuple[OfRecording, ...]
    rule: Rule | None  # None: it decides nothing
    unknown: tuple[str, ...] = ()  # labels of the truth that the model does not have
    notes: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    @property
    def length(self) -> str:
        """Of all recordings, for people."""
        return span(self.seconds)

    @property
    def false(self) -> int:
        """False alarms, without repeats."""
        return sum(e.false for e in self.events)

    def at_most(self, count: int) -> float:
        """The rate per hour that the true one is below with 95 % confidence, where `count` were counted (Poisson)."""
        return metrics.poisson_bound(count) / self.hours if self.hours else float("inf")

    def rows(self) -> list[Row]:
        """The recordings."""
        return [asdict(r) for r in self.recordings]

    def to_json(self) -> dict[str, Any]:
        """One plain object."""
        return {
            "name": self.name,
            "target": self.target,
            "seconds": self.seconds,
            "results": self.results,
            "windows": None if self.windows is None else {"count": self.windows.overall.windows, **self.windows.to_json()},
            "pure": {"windows": self.pure[0], "accuracy": self.pure[1]},
            "over_a_change": {"windows": self.mixed[0], "accuracy": self.mixed[1]},
            "rule": None if self.rule is None else asdict(self.rule),
            "events": [{**asdict(e), "missed": e.missed} for e in self.events],
            "false_alarms": self.false,
            "false_alarms_per_hour": self.false / self.hours if self.hours else None,
            "false_alarms_per_hour_at_most": self.at_most(self.false) if self.hours else None,
            "recordings": [asdict(r) for r in self.recordings],
            "unknown_labels": list(self.unknown),
            "notes": list(self.notes),
        }

    def lines(self) -> list[Line]:
        """A page of text, 80 columns wide."""
        many = len(self.recordings)
        head = f"{many} recording{'s' * (many != 1)}, {self.length}; {self.results:,} results"
        return [
            f"{plain(self.name, 30)} for {self.target}: {head}",
            "",
            *self._windows(),
            *self._events(),
            *self._recordings(),
            *self._notes(),
        ]

    def _notes(self) -> list[Line]:
        told = [f"note: {note}" for note in self.notes]
        if self.unknown:
            names = ", ".join(plain(label, 30) for label in self.unknown[:8])
            told.append(
                f"note: the model has no label {names}{' ...' if len(self.unknown) > 8 else ''}: their windows are not counted"
            )
        return [*told]

    def _windows(self) -> list[Line]:
        found = self.windows
        if found is None:
            return ["no window has a label that the model knows", ""]
        o = found.overall
        rows = [["windows", tenths(o.accuracy), f"{o.windows:,} with a label, by most of each; {found.interval}"]]
        rows.append(["pure", tenths(self.pure[1]), f"{self.pure[0]:,} with one label"])
        rows.append(["over a change", tenths(self.mixed[1]), f"{self.mixed[0]:,} with more than one"])
        rows.append(["majority", tenths(o.majority), f"what always saying {plain(o.majority_label, 30) or '(none)'} would give"])
        rows.append(["balanced", tenths(o.balanced), "the mean of the labels' recalls"])
        lines: list[Line] = [Table(["accuracy", "", ""], rows, (1,)), ""]
        cells = [
            [plain(x.label, 24), f"{x.windows:,}", tenths(x.recall), tenths(x.precision), f"{x.f1:.3f}"] for x in found.labels
        ]
        return [*lines, Table(["label", "windows", "recall", "precision", "F1"], cells, range(1, 5)), ""]

    def _events(self) -> list[Line]:
        if self.rule is None or not self.events:
            return []
        cells = []
        for e in self.events:
            late = "-" if e.delay_s is None else f"{e.delay_s:.2f} s"
            rate = f"{number(e.false / self.hours)}" if self.hours else "-"
            cells.append([plain(e.label, 20), *map(str, (e.events, e.hits, e.missed, e.repeats, e.false)), rate, late])
        table = Table(["events", "all", "found", "missed", "repeated", "false", "per hour", "delay"], cells, range(1, 8))
        r = self.rule
        told = (
            f"false alarms: {self.false} in {self.length}, below {number(self.at_most(self.false))} per hour with 95 % confidence"
        )
        return [table, told, f"decisions with smoothing {r.smoothing}, margin {r.margin}, hold {r.hold}", ""]

    def _recordings(self) -> list[Line]:
        known = [r for r in self.recordings if r.accuracy is not None]
        if len(known) < 2:
            return []
        worst = sorted(known, key=lambda r: (r.accuracy or 0.0, r.name))[:WORST]
        cells = [[plain(r.name, 40), f"{r.seconds:.0f}", f"{r.windows:,}", tenths(r.accuracy)] for r in worst]
        head = "recording" if len(worst) == len(known) else f"{len(worst)} worst of {len(known)}"
        return [Table([head, "seconds", "windows", "accuracy"], cells, (1, 2, 3)), ""]


# --- one recording -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Ears:
    """What a bundle is, as far as its results are judged. `window`: samples. `softmax`: the outputs are probabilities."""

    labels: tuple[str, ...]
    window: int
    rule: Rule | None
    quant: Quantization
    softmax: bool
    skip_s: float = 0.0  # seconds at a recording's start that are heard and not judged


class Hears(Protocol):
    """Gives the results of a recording; `bundle.listening.Listener` is one. `spacing`: samples from one result to the next."""

    spacing: int

    def hear(self, x: Array) -> Heard:
        """One recording from its start, int16 [samples, channels]."""
        ...


def heard(stream: Stream, listener: Hears) -> Heard:
    """The results of a recording, behind the start that it is measured against where that is another's. They count from its own start."""
    if stream.ahead is None:
        return listener.hear(stream.open())
    ahead = stream.ahead()
    found = listener.hear(np.concatenate([ahead, stream.open()]))
    return {**found, "samples": found["samples"] - len(ahead)}


@dataclass(slots=True, eq=False)
class Tally:
    """What is counted over all recordings."""

    chances: list[Array] = field(default_factory=list)
    truth: list[Array] = field(default_factory=list)
    purity: list[Array] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    events: dict[int, list[Any]] = field(default_factory=dict)  # label -> events, hits, repeats, false, [delays]
    recordings: list[OfRecording] = field(default_factory=list)
    results: int = 0
    seconds: float = 0.0
    unknown: set[str] = field(default_factory=set)
    grouped: bool = False
    traces: list[Trace] = field(default_factory=list)

    def hear(self, streams: Sequence[Stream], ears: Ears, listener: Hears, progress: Progress = silent) -> None:
        """Hear each recording and count. `streams`: at the listener's rate, with its channels."""
        for k, stream in enumerate(streams):
            progress("listening", k, len(streams))
            _count(self, stream, heard(stream, listener), ears, listener.spacing)
            self.seconds += max(stream.seconds - ears.skip_s, 0.0)
            self.unknown |= {s.label for s in stream.truth} - set(ears.labels)
            self.grouped = self.grouped or bool(stream.group)

    def add(self, other: Tally) -> None:
        """Count what another one has counted, too."""
        self.chances += other.chances
        self.truth += other.truth
        self.purity += other.purity
        self.owners += other.owners
        self.recordings += other.recordings
        self.traces += other.traces
        self.results += other.results
        self.seconds += other.seconds
        self.unknown |= other.unknown
        self.grouped = self.grouped or other.grouped
        for label, row in other.events.items():
            mine = self.events.get(label, [0, 0, 0, 0, []])
            self.events[label] = [a + b for a, b in zip(mine, row, strict=True)]


def ears_of(bundle: store.Bundle) -> Ears:
    """What a bundle's results are judged by. Raises UsageError for one that hears no recordings."""
    source, front, graph = bundle.compiled.source, bundle.origin.front, bundle.compiled.graph
    if front is None or not kinds.of(front.pipeline.signal.kind).sampled:
        raise UsageError("the bundle takes no samples of a signal; compile it with features, or build a project")
    if not graph.labels:
        raise UsageError("the bundle has no labels, so nothing can be held against the truth; compile it with --labels")
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    rule = source.options.rule if source.has("decide") else None
    return Ears(graph.labels, front.pipeline.signal.shape[0], rule, quant, graph.nodes[-1].op == "softmax")


def scored(
    bundle: store.Bundle,
    streams: Sequence[Stream],
    ears: Ears,
    listener: Listener,
    notes: tuple[str, ...] = (),
    progress: Progress = silent,
) -> Scored:
    """Hear each recording and count. `streams`: at the bundle's rate, with its channels. `notes`: what the reader left out."""
    tally = Tally()
    tally.hear(streams, ears, listener, progress)
    return summed(tally, bundle, ears, (*notes, *_untold(streams, ears)))


def _untold(streams: Sequence[Stream], ears: Ears) -> list[str]:
    """A note where nobody says what is true of a recording."""
    names = [plain(s.name, 40) for s in streams if not s.truth]
    if not names:
        return []
    some = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
    false = ", so that each decision there counts as a false alarm" if ears.rule is not None else ""
    way = "put NAME.csv with start, end and label beside each, name a column with --label-column, or say with --rest which label all has"
    return [f"nobody says what is true of {some}{false}; {way}"]


def summed(tally: Tally, bundle: store.Bundle, ears: Ears, notes: tuple[str, ...] = ()) -> Scored:
    """What was counted, as the figures of a bundle."""
    truth = np.concatenate(tally.truth) if tally.truth else np.zeros(0, np.int64)
    found: figures.Figures | None = None
    pure: tuple[int, float | None] = (0, None)
    mixed: tuple[int, float | None] = (0, None)
    if len(truth):
        chances, purity = np.concatenate(tally.chances), np.concatenate(tally.purity)
        found = figures.of_answers(chances, truth, ears.labels, tally.owners, of_files=not tally.grouped, seed=0)
        right = chances.argmax(1) == truth
        pure, mixed = _share(right[purity >= PURE]), _share(right[purity < PURE])
    events = tuple(
        OfEvents(ears.labels[k], n, hits, repeats, false, statistics.median(late) if late else None)
        for k, (n, hits, repeats, false, late) in sorted(tally.events.items())
    )
    return Scored(
        bundle.compiled.source.options.name,
        bundle.board.name,
        tally.seconds,
        tally.results,
        found,
        pure,
        mixed,
        events,
        tuple(tally.recordings),
        ears.rule,
        tuple(sorted(tally.unknown)),
        notes,
        tuple(tally.traces),
    )


def _share(right: Array) -> tuple[int, float | None]:
    return len(right), float(right.mean()) if len(right) else None


def _count(tally: Tally, stream: Stream, heard: Heard, ears: Ears, spacing: int) -> None:
    ends = heard["samples"] / stream.rate
    starts = np.maximum(ends - ears.window / stream.rate, 0.0)
    part = shares(stream.truth, ears.labels, starts, ends)
    none = 1 - _covered(stream.truth, starts, ends)
    strange = _covered([s for s in stream.truth if s.label not in ears.labels], starts, ends)
    truth, purity = part.argmax(1), part.max(1)
    kept = (purity > 0) & (purity >= np.maximum(none, strange))  # most of it has a label that the model knows
    judged = ends > ears.skip_s
    kept &= judged
    outputs = dequantize(heard["scores"], ears.quant)
    chances = metrics.probabilities(outputs, already=ears.softmax)
    right = chances[kept].argmax(1) == truth[kept]
    tally.chances.append(chances[kept])
    tally.truth.append(truth[kept].astype(np.int64))
    tally.purity.append(purity[kept])
    tally.owners += [stream.group or stream.name] * int(kept.sum())
    tally.results += len(ends)
    decisions = np.where(judged, heard["decisions"], -1)
    events, hits, false = _count_events(tally, stream, decisions, ends, ears, spacing)
    tally.traces.append(_trace(stream, ends, outputs, decisions, ears))
    tally.recordings.append(
        OfRecording(stream.name, stream.seconds, int(kept.sum()), _share(right)[1], events, hits, false)
    )  # fmt: skip


def _trace(stream: Stream, ends: Array, outputs: Array, decisions: Array, ears: Ears) -> Trace:
    decided = tuple((float(ends[k]), ears.labels[decisions[k]]) for k in np.flatnonzero(decisions >= 0))
    said = outputs.argmax(1).astype(np.float64)
    return replace(Trace.thinned(stream.name, stream.seconds, ends, said, stream.truth), decided=decided, names=ears.labels)


def _covered(truth: Sequence[Stretch], starts: Array, ends: Array) -> Array:
    """The share of each span that any of these stretches covers, float64 [n]."""
    return shares([Stretch(s.start, s.end, "") for s in truth], [""], starts, ends)[:, 0]


def _count_events(tally: Tally, stream: Stream, decisions: Array, ends: Array, ears: Ears, spacing: int) -> tuple[int, int, int]:
    """(events, hits, false alarms) of a recording."""
    if ears.rule is None:
        return 0, 0, 0
    numbers = {label: k for k, label in enumerate(ears.labels) if k not in ears.rule.background}
    there = [s for s in merged(stream.truth) if s.label in numbers and s.end > ears.skip_s]
    events = [Event(numbers[s.label], s.start, s.end) for s in there]
    slack = (ears.window + spacing * (ears.rule.smoothing - 1)) / stream.rate  # as long as a result has heard something of it
    found = matched(decisions, ends, events, slack)
    for k in numbers.values():
        tally.events.setdefault(k, [0, 0, 0, 0, []])
    for i, event in enumerate(events):
        row = tally.events[event.label]
        row[0] += 1
        if i in found.hits:
            row[1] += 1
            row[4].append(found.hits[i] - event.start)
    for place, rows in ((2, found.repeats), (3, found.false)):
        for label, _ in rows:
            tally.events[label][place] += 1
    return len(events), len(found.hits), len(found.false)
