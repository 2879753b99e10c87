"""How good a detector of anomalies is on all test windows, by the int8 C on this computer; and what to doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sandgrain.base import intervals
from sandgrain.base.arrays import Array
from sandgrain.base.text import percent, plain, tenths
from sandgrain.project import watching
from sandgrain.project.build import guarding, limits
from sandgrain.project.build.false_alarms import Negatives
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.rates import Rates
from sandgrain.project.build.samples import Samples
from sandgrain.project.watched import Watched

APART = 0.03  # AUC in float and int8 further apart than this get a note


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Test windows of one label."""

    label: str
    windows: int
    alarms: float  # the share that gave an alarm
    auc: float | None  # against the normal ones; None: it is the normal label


@dataclass(frozen=True, slots=True)
class Wrong:
    """A test window that was judged wrongly."""

    place: int  # among the test windows
    key: str  # of its recording
    label: str
    score: int


def hourly(samples: Samples, normal: Array, limit: int) -> Hourly | None:
    """False alarms, of the scores of normal windows, int [n]. None for pictures, and without windows."""
    signal, windowing = samples.pipeline.signal, samples.windowing
    if not len(normal) or not signal.rate:
        return None
    step = (windowing.stride or windowing.length) if windowing is not None else signal.shape[0]
    return Hourly(int((normal > limit).sum()), len(normal) * step / signal.rate / 3600)


@dataclass(frozen=True, slots=True, eq=False)
class Anomalies:
    """How good a detector is."""

    normal: str  # the label of normal windows
    floats: Rates  # by the fitted model in floating point (numpy, or PyTorch), on all test windows
    host: Rates  # by the C on this computer, on all test windows
    board: Rates  # by the emulated board from raw samples, on the windows that ran there
    reference: Rates  # on these by the same integer graph in numpy
    same: Rates  # on these by the model in floating point
    by_label: tuple[ByLabel, ...]
    wrong: tuple[Wrong, ...]
    scores: Array  # int32 [test windows], by the C on this computer
    anomalies: Array  # bool [test windows]
    threshold: int
    facts: Mapping[str, Any]  # what the fit says of itself
    hourly: Hourly | None = None  # None: windows take no time, or the test has no normal one
    negatives: Negatives | None = None  # recordings with nothing in them
    watched: Watched | None = None  # whole test recordings; None where none is longer than a window
    crossed: bool = (
        False  # `floats`, `host`, `by_label`, `hourly`: of the folds; the rest of the firmware, on what it was fitted to
    )

    @property
    def majority(self) -> float:
        """The share of the test windows that always saying the more frequent of the two would be right for."""
        return max(self.host.windows) / max(sum(self.host.windows), 1)

    @property
    def balanced(self) -> float | None:
        """The mean of the shares of normal windows and of the others that are told right."""
        return None if self.host.detected is None else (1 - self.host.false_alarms + self.host.detected) / 2

    @property
    def agreement(self) -> str:
        """How far the board's AUC is from numpy's, for people."""
        if self.board.auc is None or self.reference.auc is None:
            return "no AUC, for the test has normal windows alone"
        apart = abs(self.board.auc - self.reference.auc)
        return "AUC equal" if apart == 0 else f"AUC {apart:.2g} apart"


@dataclass(frozen=True, slots=True)
class OfFold:
    """What a detector of cross-validation gave on what it had not seen."""

    host: Rates  # int8
    floats: Rates
    by_label: tuple[ByLabel, ...]
    hourly: Hourly | None
    heard: watching.Tally = field(default_factory=watching.Tally)  # whole recordings of the fold's test


def pooled(own: Anomalies, folds: Sequence[OfFold]) -> Anomalies:
    """The figures of a detector that was fitted to every normal recording: how good it is, the folds say."""
    hourly = [f.hourly for f in folds if f.hourly is not None]
    return replace(
        own,
        host=_together([f.host for f in folds]),
        floats=_together([f.floats for f in folds]),
        by_label=_labels_together([row for f in folds for row in f.by_label]),
        hourly=Hourly(sum(h.alarms for h in hourly), sum(h.hours for h in hourly)) if hourly else None,
        crossed=True,
    )


def _together(folds: Sequence[Rates]) -> Rates:
    """Areas as the mean over the folds, shares of all their windows; an anomaly is tested in every fold."""
    normal, others = sum(r.windows[0] for r in folds), sum(r.windows[1] for r in folds)
    alarms = sum(r.false_alarms * r.windows[0] for r in folds) / max(normal, 1)
    detected = sum((r.detected or 0.0) * r.windows[1] for r in folds) / others if others else None
    right = sum(r.accuracy * sum(r.windows) for r in folds) / max(normal + others, 1)
    return Rates(_mean([r.auc for r in folds]), _mean([r.pauc for r in folds]), alarms, detected, right, (normal, others))


def _labels_together(rows: Sequence[ByLabel]) -> tuple[ByLabel, ...]:
    found = []
    for label in dict.fromkeys(row.label for row in rows):
        own = [row for row in rows if row.label == label]
        windows = sum(row.windows for row in own)
        alarms = sum(row.alarms * row.windows for row in own) / max(windows, 1)
        found.append(ByLabel(label, windows, alarms, _mean([row.auc for row in own])))
    return tuple(found)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def quality(f: Anomalies) -> limits.Quality:
    """What [budget] can ask."""
    recalls = {x.label: x.alarms for x in f.by_label if x.label != f.normal}
    hourly = guarding.rate(f.watched) or f.hourly if f.negatives is None else f.negatives.hourly
    return limits.Quality(f.host.accuracy, f.balanced, None, f.host.auc, recalls, hourly)


def notes(f: Anomalies) -> tuple[str, ...]:
    """One line for each thing that the figures would not say by themselves."""
    return tuple(_notes(f))


def _notes(f: Anomalies) -> Iterator[str]:
    if f.crossed:
        yield (
            "scores, what is farthest on the wrong side and the lines of the board and of numpy are the firmware's, which was fitted to "
            "all normal recordings: they prove its bytes, and the folds say how good it is"
        )
    normal, asked = f.host.windows[0], float(f.facts["false_alarms_asked"])
    low = intervals.of_share(f.host.false_alarms, normal)[0] if normal else 0.0
    if low > asked:
        yield (
            f"the threshold was set for {percent(asked, 3)} false alarms, and {tenths(f.host.false_alarms)} of the normal test "
            "windows give one: they differ from those that it was fitted to (another machine, day or place); train with more kinds"
        )
    if f.watched is not None:
        yield from (f"whole recordings: {note}" for note in f.watched.notes)
    if f.host.auc is not None and f.floats.auc is not None and abs(f.host.auc - f.floats.auc) > APART:
        yield f"AUC {shown_share(f.floats.auc)} in float and {shown_share(f.host.auc)} in int8: they are not the same detector"
    if f.host.auc is not None and f.host.auc < 0.5:
        yield "AUC below 0.5: what is not normal scores lower than what is; other features or another detector are needed"
    if blind := [x for x in f.by_label if x.label != f.normal and x.alarms <= f.host.false_alarms]:
        names = ", ".join(plain(x.label, 30) for x in blind[:3])
        yield f"no more alarms than for {plain(f.normal, 30)}: {names}{' ...' if len(blind) > 3 else ''}"


def shown_share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
