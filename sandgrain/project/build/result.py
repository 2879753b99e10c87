"""What came of a build: one object behind the page of text, the HTML page and the JSON, whatever the task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import count, duration, energy, percent, size
from sandgrain.bundle.report import Report
from sandgrain.bundle.verdict import Verdict
from sandgrain.frontend.signal import Signal
from sandgrain.project.auto.result import Searched
from sandgrain.project.build.battery import Battery
from sandgrain.project.build.folds import Folds
from sandgrain.project.build.limits import Check
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Stage
from sandgrain.project.tasks.base import F, Task

LONGEST_WHOSE = 20  # characters of a limit's owner that the page of text has room for


@dataclass(frozen=True, eq=False, repr=False)
class Built(Shown, Generic[F]):
    """What came of a build."""

    task: Task[F]
    name: str  # the project's
    folder: Path  # where the C is
    seed: int
    model: str  # [model] name
    labels: tuple[str, ...]  # of the data
    report: Report  # costs of the firmware
    verdict: Verdict  # the firmware against its reference
    figures: F  # the task's own
    windows: Mapping[str, int]  # side -> how many
    checks: tuple[Check, ...]  # the limits beside the result
    advice: str  # what would keep a limit that is missed, or ""
    battery: Battery | None
    notes: tuple[str, ...]
    example: str | None  # what example/main.c prints on the emulated board
    samples: Samples
    stages: tuple[Stage, ...]
    folds: Folds | None = None  # cross-validation, if it was asked for
    auto: Searched | None = None  # the candidates that were compared, and the choice, if that was asked for
    trained_on: str = ""  # then: what the firmware was trained on, and what says how good it is

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.kept)

    @property
    def calls(self) -> tuple[str, ...]:
        """The functions of NAME.h that take a signal to its result, in the order in which a program calls them."""
        name = self.report.name
        declared = set(re.findall(rf"\b{re.escape(name)}_(\w+)\(", (self.folder / f"{name}.h").read_text("utf-8")))
        first = ("push", "classify") if "push" in declared else ("run",)
        return tuple(f"{name}_{what}" for what in (*first, "decide", "is_anomaly", "number") if what in declared)

    @property
    def sentence(self) -> str:
        """The limits that are missed, by how much, and what would keep them; "" if all are kept."""
        if not self.missed:
            return ""
        return "; ".join([*(c.sentence() for c in self.missed), *([self.advice] if self.advice else [])])

    def rows(self) -> list[Row]:
        """The layers of the firmware."""
        return self.report.rows()

    def lines(self) -> list[Line]:
        """All of it on one page of text, 80 columns wide."""
        return [
            *self.task.heading(self),
            *([self.trained_on] if self.trained_on else []),
            "",
            self._budget(),
            "",
            *self.task.quality(self),
            *self._folds(),
            *(self.auto.lines() if self.auto else []),
            *self._costs(),
            *self.task.details(self),
            *self._use(),
        ]

    def _budget(self) -> Table:
        rows = [[c.name, f"{c.sign} {c.shown(c.limit)}", c.shown(c.value), c.outcome, _whose(c)] for c in self.checks]
        return Table(["budget", "limit", "result", "", "whose"], rows, (1, 2), (0, 3))

    def _folds(self) -> list[Line]:
        if self.folds is None:
            return []
        lines: list[Line] = [line for table in self.folds.tables() for line in (table, "")]
        if self.folds.pooled is not None:
            lines.insert(1, f"every window once: {self.folds.pooled.interval}")
        return lines

    def _costs(self) -> list[Line]:
        r = self.report
        parts = f"arena {size(r.arena_bytes)}" + (f" + stream {size(r.stream_bytes)}" if r.stream_bytes else "")
        rows = [["RAM", size(r.ram_bytes), f"{parts} + static and worst-case stack"]]
        rows.append(["flash", size(r.flash_bytes), f"weights and tables {size(r.weight_bytes)} + code"])
        if r.cycles is not None:
            error = f", +-{100 * r.cycles_error:.0f} %" if r.cycles_error is not None else ""
            cycles = f"{count(r.cycles)} cycles, estimated{error}; features included"
            rows.append(["per window", duration(r.latency_ms or 0), cycles])
            if r.result_ms is not None:
                what = f"what a running stream takes for each {r.result_samples:,} samples"
                rows.append(["per result", duration(r.result_ms), what])
            rows.append(["per window", energy(r.energy_uj or 0), "estimated: the core's run current"])
        if (b := self.battery) is not None:
            rows.append(
                ["battery", _days(b.days), f"{b.mah:g} mAh, a window every {b.period_s:g} s, core busy {percent(b.duty)};"]
            )
            rows.append(["", "", b.counts])
        notes = [f"note: {note}" for note in (*self.notes, *r.notes, *self.verdict.notes)]
        if self.battery is not None and self.battery.duty > 1:
            notes.insert(0, "note: a window takes longer than the period; the board cannot keep up")
        return [Table(["cost", "", ""], rows, (1,)), *notes, ""]

    def _use(self) -> list[Line]:
        name, folder = self.report.name, self.folder
        found = [
            f"C in {folder}/",
            f"  {name}.c, {name}.h  with kernels/",
            f"                    call {', '.join(self.calls)}",
            f"  example/main.c    shows it; cc -I.. main.c ../{name}.c",
        ]
        if self.example:
            found.append(f"                    on the emulated board it prints: {self.example.strip().splitlines()[-1]}")
        return [*found, "  report.json       all figures; proof/ is for: sandgrain verify"]

    def to_json(self) -> dict[str, Any]:
        """One plain object; its keys are part of the interface. Nothing in it depends on the time or the machine."""
        r, v = self.report, self.verdict
        shared = {
            "task": self.task.name,
            "name": r.name,
            "model": self.model,
            "target": r.target,
            "seed": self.seed,
            "dataset_hash": self.samples.found.manifest.sha256,
            "build_id": r.build_id,
            "windows": dict(self.windows),
            "signal": signal_json(self.samples.pipeline.signal),
            "ram_bytes": r.ram_bytes,
            "flash_bytes": r.flash_bytes,
            "macs": r.macs,
            "instructions": r.instructions,
            "cycles": r.cycles,
            "latency_ms": r.latency_ms,
            "energy_uj": r.energy_uj,
            "battery_days": self.battery.days if self.battery else None,
            "battery": self.battery.to_json() if self.battery else None,
            "identical": v.identical,
            "compared": dict(v.compared),
            "verified_windows": v.samples,
            "example": self.example,
            "budget": [c.to_json() for c in self.checks],
            "missed": [c.sentence() for c in self.missed],
            "advice": self.advice,
            "notes": list(self.notes),
            "report": r.to_json(),
            "auto": self.auto.to_json() if self.auto else None,
            "trained_on": self.trained_on or None,
            "cross_validation": self.folds.to_json() if self.folds else None,
        }
        return {**shared, **self.task.json(self)}


def _whose(check: Check) -> str:
    """Whose limit it is; the name of the check says which key of [budget]."""
    long = check.quality and len(check.whose) > LONGEST_WHOSE
    return "[budget]" if long else check.whose


def signal_json(signal: Signal) -> dict[str, Any]:
    """What goes into the C, for whoever fills the window."""
    return {
        "kind": signal.kind,
        "shape": list(signal.shape),
        "rate_hz": signal.rate,
        "channels": [channel.to_json() for channel in signal.channels],
    }


def _days(days: float) -> str:
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"
