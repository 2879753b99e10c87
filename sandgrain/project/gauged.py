"""What came of a model of numbers over long recordings: how far it is off in all of them, and in each. `gauging` counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import number, plain, span
from sandgrain.project.build.errors import Errors
from sandgrain.project.traces import Trace

WORST = 8  # recordings that the text names


@dataclass(frozen=True, slots=True)
class GaugedOne:
    """One recording. Errors are what was said less what is true, in the unit of the numbers; None where nothing is there to count."""

    name: str
    seconds: float
    windows: int  # whose number is known
    mae: float | None
    rmse: float | None
    r2: float | None  # None also where all its numbers are the same
    bias: float | None  # the mean error


@dataclass(frozen=True, eq=False, repr=False)
class Gauged(Shown):
    """What came of it."""

    name: str  # of the bundle
    target: str
    unit: str
    column: str  # that says what is true
    seconds: float  # of all recordings
    results: int  # of the stream
    errors: Errors | None  # None where no result has a number that is known; its constant is the median of these very recordings
    recordings: tuple[GaugedOne, ...]
    notes: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()

    @property
    def worst(self) -> GaugedOne | None:
        """The recording with the largest mean error, where there is more than one that has any."""
        known = self._known()
        return known[0] if len(known) > 1 else None

    def rows(self) -> list[Row]:
        """The recordings."""
        return [asdict(r) for r in self.recordings]

    def to_json(self) -> dict[str, Any]:
        """One plain object."""
        worst = self.worst
        found = {} if self.errors is None else {k: v for k, v in self.errors.to_json().items() if not k.startswith("per_")}
        return {
            "name": self.name,
            "target": self.target,
            "unit": self.unit,
            "target_column": self.column,
            "seconds": self.seconds,
            "results": self.results,
            "windows": 0 if self.errors is None else self.errors.overall.windows,
            "mae": None,
            "rmse": None,
            "r2": None,
            **found,
            "worst": None if worst is None else worst.name,
            "recordings": [asdict(r) for r in self.recordings],
            "notes": list(self.notes),
        }

    def lines(self) -> list[Line]:
        """A page of text, 80 columns wide."""
        many = len(self.recordings)
        head = f"{many} recording{'s' * (many != 1)}, {span(self.seconds)}; {self.results:,} results"
        return [
            f"{plain(self.name, 30)} for {self.target}, a number: {head}",
            "",
            *self._errors(),
            *self._recordings(),
            *(f"note: {note}" for note in self.notes),
        ]

    def _errors(self) -> list[Line]:
        if self.errors is None:
            return [f"no window has a number that is known (column {plain(self.column, 40)})", ""]
        o = self.errors.overall
        rows = [
            ["mean", self._in(o.mae), f"absolute error of {o.windows:,} windows whose number is known"],
            ["", "", f"{number(o.interval[0])} to {number(o.interval[1])} with 95 % confidence, over {o.over}"],
            ["a constant", self._in(o.baseline), f"what always saying {number(o.median)}, their median, would give"],
            ["RMS", self._in(o.rmse), "the root of the mean squared error"],
            ["R2", _share(o.r2), "share of the variance that is explained"],
            ["95 %", self._in(o.p95), f"of the errors are at most so large; on average {number(o.bias)}"],
        ]
        if self.worst is not None and self.worst.mae is not None:
            rows.append(["worst", self._in(self.worst.mae), f"recording {plain(self.worst.name, 34)}"])
        return [Table(["error", "", ""], rows, (1,)), ""]

    def _recordings(self) -> list[Line]:
        known = self._known()
        if len(known) < 2:
            return []
        cells = [
            [
                plain(r.name, 30),
                f"{r.seconds:.0f}",
                f"{r.windows:,}",
                *map(_number, (r.mae, r.rmse)),
                _share(r.r2),
                _number(r.bias),
            ]
            for r in known[:WORST]
        ]
        head = "recording" if len(known) <= WORST else f"{WORST} worst of {len(known)}"
        return [Table([head, "seconds", "windows", "mean", "RMS", "R2", "average"], cells, range(1, 7)), ""]

    def _known(self) -> Sequence[GaugedOne]:
        """The recordings with an error, the worst first."""
        return sorted((r for r in self.recordings if r.mae is not None), key=lambda r: (-(r.mae or 0.0), r.name))

    def _in(self, value: float) -> str:
        return f"{number(value)} {plain(self.unit, 12)}".strip()


def _number(value: float | None) -> str:
    return "-" if value is None else number(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
