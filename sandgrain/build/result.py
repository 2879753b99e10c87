"""What a build found: one object behind the page of text, the HTML page and the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandgrain.build import metrics
from sandgrain.build.limits import Check
from sandgrain.build.samples import Samples
from sandgrain.build.spotting import Spotted
from sandgrain.ir import Array
from sandgrain.report import Report
from sandgrain.verify import Verdict

GIVEN = "[target] sleep_ma"  # a sleep current's source


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of this build. `kept`: its result was there already."""

    name: str
    seconds: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Worst:
    """A test window that the int8 network finds hard: its place on the side, the recording, what it is and what was said.

    `chance`: the probability that the true label was given. `loss`: cross-entropy.
    """

    place: int
    key: str
    label: str
    said: str
    chance: float
    loss: float


@dataclass(frozen=True, slots=True)
class Battery:
    """How long a battery lasts when one inference runs every `period_s`.

    `duty`: share of the time that the core computes; above 1 it cannot keep up. `sleep_ma`: the current in the rest of it, and
    where that is known from; None: not known, and `days`, of the active energy alone, an upper bound.
    """

    mah: float
    period_s: float
    duty: float
    days: float
    sleep_ma: float | None = None
    sleep_source: str = ""

    @property
    def of_the_chip(self) -> bool:
        """Whether the sleep current is the board file's, which leaves out what else is on the board."""
        return self.sleep_ma is not None and self.sleep_source != GIVEN

    @property
    def counts(self) -> str:
        """What `days` counts, for people."""
        if self.sleep_ma is None:
            return "active energy alone, an upper bound: give [target] sleep_ma"
        asleep = f"{self.sleep_ma:.3g} mA" if self.sleep_ma >= 0.1 else f"{1e3 * self.sleep_ma:.3g} uA"
        return f"active energy and {asleep} asleep ({'the chip alone' if self.of_the_chip else 'as given'})"

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What a build found. Accuracies are shares of the test windows; `verdict`'s is that of the emulated board.

    `history`: training -> figure -> a value an epoch. `checks`: the limits beside the result; `advice`: what would keep one
    that is missed, or "".
    """

    name: str
    folder: Path
    seed: int
    model: str
    labels: tuple[str, ...]
    report: Report
    verdict: Verdict
    accuracy_float: float
    accuracy_int8: float
    accuracy_after_training: float  # int8, before the network was trained again with the firmware's rounding
    confusion: Array  # int64 [classes, classes]: rows are true labels; of the int8 network on all test windows
    auc: float | None
    worst: tuple[Worst, ...]
    windows: Mapping[str, int]
    parameters: int
    history: Mapping[str, Mapping[str, list[float]]]
    checks: tuple[Check, ...]
    advice: str
    battery: Battery | None
    notes: tuple[str, ...]
    example: str | None  # what example/main.c prints on the emulated board
    samples: Samples
    spotted: Spotted | None = None  # of classifiers that listen to a stream of sound
    stages: tuple[Stage, ...] = field(default=())

    @property
    def accuracy(self) -> float:
        """On the emulated board, from raw samples; on this computer where the core cannot be emulated."""
        return self.verdict.accuracy if self.verdict.accuracy is not None else self.accuracy_int8

    @property
    def macro_f1(self) -> float:
        return metrics.macro_f1(self.confusion)

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.kept)

    @property
    def sentence(self) -> str:
        """The limits that are missed, by how much, and what would keep them; "" where all are kept."""
        if not self.missed:
            return ""
        return "; ".join([*(c.sentence() for c in self.missed), *([self.advice] if self.advice else [])])

    def to_json(self) -> dict[str, Any]:
        """One plain object; its keys are part of the interface. Nothing in it depends on the time or the machine."""
        r, s = self.report, self.spotted
        return {
            "accuracy": self.accuracy, "accuracy_int8_host": self.accuracy_int8, "accuracy_float": self.accuracy_float,
            "accuracy_int8_after_training": self.accuracy_after_training, "macro_f1": self.macro_f1, "roc_auc": self.auc, "ram_bytes": r.ram_bytes, "flash_bytes": r.flash_bytes,
            "macs": r.macs, "instructions": r.instructions, "cycles": r.cycles, "latency_ms": r.latency_ms,
            "energy_uj": r.energy_uj, "battery_days": self.battery.days if self.battery else None,
            "battery": self.battery.to_json() if self.battery else None,
            "false_accepts_per_hour": s.rates.false_accepts_per_hour if s else None,
            "false_rejects": s.rates.false_rejects if s else None, "long_recording": s.to_json() if s else None, "seed": self.seed,
            "dataset_hash": self.samples.found.manifest.sha256, "target": r.target, "name": r.name, "model": self.model,
            "parameters": self.parameters, "windows": dict(self.windows), "labels": list(self.labels),
            "confusion": self.confusion.tolist(), "identical": self.verdict.identical,
            "compared": dict(self.verdict.compared), "verified_windows": self.verdict.samples,
            "example": self.example,
            "budget": [
                {"name": c.name, "unit": c.unit, "limit": c.limit, "value": c.value, "kept": c.kept, "excess": c.excess}
                for c in self.checks
            ],
            "missed": [c.sentence() for c in self.missed], "advice": self.advice, "notes": list(self.notes),
            "worst": [asdict(w) for w in self.worst], "build_id": r.build_id, "report": r.to_json(),
        }  # fmt: skip
