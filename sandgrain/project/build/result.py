"""What came of a build: one object behind the page of text, the HTML page and the JSON, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from sandgrain.bundle.report import Report
from sandgrain.bundle.verdict import Verdict
from sandgrain.project.build.battery import Battery
from sandgrain.project.build.limits import Check
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Stage
from sandgrain.project.tasks.base import F, Task


@dataclass(frozen=True, eq=False)
class Built(Generic[F]):
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

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.kept)

    @property
    def sentence(self) -> str:
        """The limits that are missed, by how much, and what would keep them; "" if all are kept."""
        if not self.missed:
            return ""
        return "; ".join([*(c.sentence() for c in self.missed), *([self.advice] if self.advice else [])])

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
        }
        return {**shared, **self.task.json(self)}
