"""What a build of a detector found: one object behind the page of text, the HTML page and the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandgrain.build import limits
from sandgrain.build.rates import Rates
from sandgrain.build.result import Battery, Stage
from sandgrain.build.samples import Samples
from sandgrain.ir import Array
from sandgrain.report import Report
from sandgrain.verify import Verdict


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Test windows of one label: how many, the share that gave an alarm, and the AUC against the normal ones (None: normal)."""

    label: str
    windows: int
    alarms: float
    auc: float | None


@dataclass(frozen=True, slots=True)
class Wrong:
    """A test window that was judged wrongly: its place on the side, recording and label; `score` above the threshold or not."""

    place: int
    key: str
    label: str
    score: int


@dataclass(frozen=True, eq=False)
class Detected:
    """What a build of a detector found.

    `floats`: by the fitted model in floating point (numpy, or PyTorch), `host`: by the C on this computer, both on all test
    windows; `board`: by the emulated board from raw samples, on the windows that ran there; on these also `reference`: by the
    same integer graph in numpy, and `same`: by the model in floating point.
    """

    name: str
    folder: Path
    seed: int
    model: str
    normal: str
    labels: tuple[str, ...]
    report: Report
    verdict: Verdict
    floats: Rates
    host: Rates
    board: Rates
    reference: Rates
    same: Rates
    by_label: tuple[ByLabel, ...]
    wrong: tuple[Wrong, ...]
    scores: Array  # int32 [test windows], by the C on this computer
    anomalies: Array  # bool [test windows]
    threshold: int
    facts: Mapping[str, Any]
    windows: Mapping[str, int]
    checks: tuple[limits.Check, ...]
    advice: str
    battery: Battery | None
    notes: tuple[str, ...]
    example: str | None
    samples: Samples
    stages: tuple[Stage, ...]

    @property
    def agreement(self) -> str:
        """How far the board's AUC is from numpy's, for people."""
        if self.board.auc is None or self.reference.auc is None:
            return "no AUC, for the test has normal windows alone"
        apart = abs(self.board.auc - self.reference.auc)
        return "AUC equal" if apart == 0 else f"AUC {apart:.2g} apart"

    @property
    def missed(self) -> tuple[limits.Check, ...]:
        return tuple(c for c in self.checks if not c.kept)

    @property
    def sentence(self) -> str:
        """The limits that are missed, by how much, and what would keep them; "" where all are kept."""
        if not self.missed:
            return ""
        return "; ".join([*(c.sentence() for c in self.missed), *([self.advice] if self.advice else [])])

    def to_json(self) -> dict[str, Any]:
        """One plain object; its keys are part of the interface. Nothing in it depends on the time or the machine."""
        r, b = self.report, self.board
        return {
            "auc": b.auc, "pauc": b.pauc, "auc_board": b.auc, "auc_reference": self.reference.auc, "threshold": self.threshold, "false_alarm_rate": b.false_alarms,
            "detection_rate": b.detected, "accuracy": b.accuracy, "auc_int8_host": self.host.auc, "auc_float": self.floats.auc,
            "auc_float_verified": self.same.auc, "pauc_reference": self.reference.pauc, "pauc_float": self.floats.pauc,
            "host": self.host.to_json(), "float": self.floats.to_json(),
            "ram_bytes": r.ram_bytes, "flash_bytes": r.flash_bytes, "macs": r.macs, "instructions": r.instructions,
            "cycles": r.cycles, "latency_ms": r.latency_ms, "energy_uj": r.energy_uj,
            "battery_days": self.battery.days if self.battery else None,
            "battery": self.battery.to_json() if self.battery else None, "seed": self.seed,
            "dataset_hash": self.samples.found.manifest.sha256, "target": r.target, "name": r.name, "model": self.model,
            "normal": self.normal, "labels": {x.label: {"windows": x.windows, "alarms": x.alarms, "auc": x.auc} for x in self.by_label},
            "windows": dict(self.windows), "detector": dict(self.facts), "identical": self.verdict.identical,
            "compared": dict(self.verdict.compared), "verified_windows": self.verdict.samples, "example": self.example,
            "budget": [
                {"name": c.name, "unit": c.unit, "limit": c.limit, "value": c.value, "kept": c.kept, "excess": c.excess}
                for c in self.checks
            ],
            "missed": [c.sentence() for c in self.missed], "advice": self.advice, "notes": list(self.notes),
            "wrong": [{"recording": w.key, "label": w.label, "score": w.score} for w in self.wrong],
            "build_id": r.build_id, "report": r.to_json(),
        }  # fmt: skip
