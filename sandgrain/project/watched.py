"""What came of a detector of anomalies over long recordings: time, events and false alarms. `watching` counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import number, plain, span, tenths
from sandgrain.project.build import metrics
from sandgrain.project.traces import Trace

WORST = 8  # recordings that the text names


@dataclass(frozen=True, slots=True)
class Moments:
    """Seconds by what is true and what the device said."""

    hit: float = 0.0  # an anomaly, and an alarm
    missed: float = 0.0  # an anomaly without one
    false: float = 0.0  # an alarm where all is normal
    quiet: float = 0.0  # normal, and none

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.hit + other.hit, self.missed + other.missed, self.false + other.false, self.quiet + other.quiet
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        return self.hit + self.missed + self.false + self.quiet

    @property
    def normal(self) -> float:
        """Seconds in which all is normal."""
        return self.false + self.quiet

    @property
    def precision(self) -> float | None:
        """Of the time with an alarm, the share that is an anomaly."""
        return _share(self.hit, self.hit + self.false)

    @property
    def recall(self) -> float | None:
        """Of the time of anomalies, the share with an alarm."""
        return _share(self.hit, self.hit + self.missed)

    @property
    def f1(self) -> float | None:
        """None where there is no anomaly."""
        return _share(2 * self.hit, 2 * self.hit + self.missed + self.false) if self.hit + self.missed else None

    @property
    def always(self) -> float | None:
        """The F1 of a device that always gives an alarm."""
        return Moments(self.hit + self.missed, 0.0, self.normal, 0.0).f1

    @property
    def false_share(self) -> float | None:
        """Of the normal time, the share with an alarm."""
        return _share(self.false, self.normal)

    @property
    def missed_share(self) -> float | None:
        """Of the time of anomalies, the share without an alarm."""
        return _share(self.missed, self.hit + self.missed)

    def to_json(self) -> dict[str, float | None]:
        """Shares, and the seconds that they are of."""
        return {
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "false_alarm_share": self.false_share,
            "missed_share": self.missed_share,
            "seconds": self.seconds,
            "anomaly_seconds": self.hit + self.missed,
        }


@dataclass(frozen=True, slots=True)
class Alarms:
    """Events of one label, in all recordings."""

    label: str
    events: int
    hits: int
    delay_s: float | None  # from an event's start to the first alarm in it, the median of those that were found

    @property
    def missed(self) -> int:
        return self.events - self.hits


@dataclass(frozen=True, slots=True)
class WatchedOne:
    """One recording, or all of one group."""

    name: str
    moments: Moments
    auc: float | None
    events: int
    hits: int
    false: int

    def row(self) -> dict[str, Any]:
        """Plain values."""
        told = {"events": self.events, "hits": self.hits, "false_alarms": self.false}
        return {"name": self.name, **self.moments.to_json(), "auc": self.auc, **told}


@dataclass(frozen=True, eq=False, repr=False)
class Watched(Shown):
    """What came of it. Shares are None where nothing is there to count."""

    name: str  # of the bundle
    target: str
    seconds: float  # of all recordings
    results: int  # of the stream
    threshold: int
    normal: tuple[str, ...]  # labels of the truth that are no anomaly
    moments: Moments  # of all recordings that have a truth
    interval: tuple[float, float] | None  # of F1, 95 %, whole recordings drawn anew; None where there are few
    auc: float | None
    events: tuple[Alarms, ...]
    false: int  # alarms that began where all is normal
    recordings: tuple[WatchedOne, ...]
    groups: tuple[WatchedOne, ...]  # the worst F1 first; () where nobody has one
    traces: tuple[Trace, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        """Of normal time: what the rate of false alarms is counted over."""
        return self.moments.normal / 3600

    @property
    def at_most(self) -> float:
        """False alarms per hour that the true rate is below with 95 % confidence (Poisson)."""
        return metrics.poisson_bound(self.false) / self.hours if self.hours else float("inf")

    def rows(self) -> list[Row]:
        """The recordings."""
        return [r.row() for r in self.recordings]

    def to_json(self) -> dict[str, Any]:
        """One plain object."""
        return {
            "name": self.name,
            "target": self.target,
            "seconds": self.seconds,
            "results": self.results,
            "threshold": self.threshold,
            "normal": list(self.normal),
            "moments": self.moments.to_json(),
            "f1_interval": None if self.interval is None else list(self.interval),
            "f1_always_alarm": self.moments.always,
            "auc": self.auc,
            "events": [{**asdict(e), "missed": e.missed} for e in self.events],
            "false_alarms": self.false,
            "false_alarms_per_hour": self.false / self.hours if self.hours else None,
            "false_alarms_per_hour_at_most": self.at_most if self.hours else None,
            "recordings": [r.row() for r in self.recordings],
            "groups": [r.row() for r in self.groups],
            "notes": list(self.notes),
        }

    def lines(self) -> list[Line]:
        """A page of text, 80 columns wide."""
        many = len(self.recordings)
        head = f"{many} recording{'s' * (many != 1)}, {span(self.seconds)}; {self.results:,} results"
        return [
            f"{plain(self.name, 30)} for {self.target}, a detector: {head}",
            "",
            *self._time(),
            *self._events(),
            *_listed(self.groups, "group"),
            *_listed(self.recordings, "recording"),
            *(f"note: {note}" for note in self.notes),
        ]

    def _time(self) -> list[Line]:
        m = self.moments
        between = "" if self.interval is None else f"{self.interval[0]:.3f} to {self.interval[1]:.3f}; "
        rows = [
            ["F1", _number(m.f1), f"{between}always an alarm would give {_number(m.always)}"],
            ["precision", tenths(m.precision), "of the time with an alarm"],
            ["recall", tenths(m.recall), f"of {span(m.hit + m.missed)} of anomalies"],
            ["missed", tenths(m.missed_share), "of the same"],
            ["false alarms", tenths(m.false_share), f"of {span(m.normal)} in which all is normal"],
            ["AUC", _number(self.auc), "at every threshold"],
        ]
        return [Table(["of the time", "", ""], rows, (1,)), ""]

    def _events(self) -> list[Line]:
        cells = []
        for e in self.events:
            late = "-" if e.delay_s is None else f"{e.delay_s:.2f} s"
            cells.append([plain(e.label, 24) or "(none)", *map(str, (e.events, e.hits, e.missed)), late])
        table: list[Line] = [Table(["events", "all", "found", "missed", "delay"], cells, range(1, 5))] if cells else []
        if not self.hours:
            return [*table, "false alarms: no time in which all is normal", ""]
        rate = f"{number(self.false / self.hours)} per hour, below {number(self.at_most)} with 95 % confidence"
        told = f"false alarms: {self.false} in {span(self.moments.normal)} of normal time: {rate}"
        names = [plain(label, 24) or "(none)" for label in self.normal[:4]] or ["all without a label"]
        quiet = f"normal: {', '.join(names)}{' ...' if len(self.normal) > len(names) else ''} (--normal)"
        return [*table, told, f"an alarm is a score above {self.threshold}; {quiet}", ""]


def _listed(found: Sequence[WatchedOne], what: str) -> list[Line]:
    if len(found) < 2:
        return []
    worst = sorted(found, key=lambda r: (2.0 if r.moments.f1 is None else r.moments.f1, r.name))[:WORST]
    cells = [
        [
            plain(r.name, 28),
            f"{r.moments.seconds:.0f}",
            _number(r.moments.f1),
            tenths(r.moments.recall),
            tenths(r.moments.false_share),
            _number(r.auc),
            f"{r.hits}/{r.events}",
        ]
        for r in worst
    ]
    head = what if len(worst) == len(found) else f"{len(worst)} worst of {len(found)}"
    return [Table([head, "s", "F1", "recall", "false", "AUC", "events"], cells, range(1, 7)), ""]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
