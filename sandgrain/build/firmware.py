"""The stages that make and prove the C: compiled and measured once, verified once, as long as the folder still holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain import api, proof, targets
from sandgrain.build.samples import Samples
from sandgrain.build.store import Store, digest
from sandgrain.cost import milliseconds
from sandgrain.decide import Rule
from sandgrain.errors import BudgetError, SandgrainError
from sandgrain.features.frontend import FrontEnd
from sandgrain.project.schema import Target
from sandgrain.report import LayerReport, Report
from sandgrain.run.tflm import available
from sandgrain.scratch import scratch
from sandgrain.targets import Board
from sandgrain.verify import Verdict

Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What is compiled: the int8 model behind its features, for a board. `ram`: bytes that kernels and strips aim at.
    `rule`: how its stream decides. `threshold`: a detector's."""

    model: bytes
    front: FrontEnd
    name: str
    labels: tuple[str, ...]
    target: Target
    ram: int | None
    threshold: int | None = None
    rule: Rule = field(default_factory=Rule)

    @property
    def key(self) -> str:
        front = self.front.to_json()
        how = [self.target.board, self.target.compiler, self.target.optimize, self.target.arena, self.target.clock_mhz]
        said = [self.threshold, asdict(self.rule)]
        return digest(
            "compiled", hashlib.sha256(self.model).hexdigest(), front, self.name, list(self.labels), how, self.ram, said
        )


def compiled(order: Order, out: Path, store: Store, step: Step) -> Report:
    """The report of the bundle in `out`, which is written unless it is there. Limits of the project are not checked here.

    Raises what `api.compile` raises, BudgetError where the board itself is too small.
    """
    path = store.path("compiled", order.key, ".json")
    known = store.peek(path)
    if known is not None:
        report = report_of(known)
        if _holds(out, report.build_id):
            return report
    report = at_clock(_compile(order, out, step), targets.load(order.target.board), order.target.clock_mhz)
    store.put(path, report.to_json())
    return report


def measured(order: Order, store: Store, step: Step) -> Report:
    """The report alone: the bundle is thrown away."""

    def make() -> dict[str, Any]:
        with scratch() as work:
            report = _compile(order, work / "bundle", step)
        return at_clock(report, targets.load(order.target.board), order.target.clock_mhz).to_json()

    return report_of(store.json("measured", order.key, make))


def _compile(order: Order, out: Path, step: Step) -> Report:
    with scratch() as work:
        model = work / f"{order.name}.tflite"
        model.write_bytes(order.model)

        def run(max_ram: int | None) -> Report:
            return api.compile(
                model, features=order.front, target=order.target.board, out=out, name=order.name, labels=order.labels,
                arena=order.target.arena, compiler=order.target.compiler, optimize=order.target.optimize, max_ram=max_ram,
                threshold=order.threshold, rule=order.rule, progress=step,
            ).report  # fmt: skip

        if order.ram is not None:
            try:
                return run(order.ram)
            except BudgetError:
                pass  # no kernel and no strip brings it under: what it then costs is measured all the same
        return run(None)


def _holds(out: Path, build_id: str) -> bool:
    try:
        bundle = proof.load_bundle(out)
    except SandgrainError:
        return False
    return bundle.compiled.source.build_id == build_id and not bundle.edited


def verified(out: Path, build_id: str, samples: Samples, places: list[int], step: Step, normal: int | None = None) -> Verdict:
    """The bundle held against its reference over test windows, from raw samples on. `normal`: a detector's normal label."""
    key = digest("verified", build_id, samples.key, places, available(), normal)
    path = samples.store.path("verified", key, ".json")
    known = samples.store.peek(path)
    if known is not None:
        scores = known["scores"] if known["scores"] is None else tuple(known["scores"])
        return Verdict(**{**known, "notes": tuple(known["notes"]), "scores": scores})
    raw, labels = samples.raw("test", places)
    labels = labels if normal is None else (labels != normal).astype(np.int64)
    with scratch() as work:
        data = work / "test.npz"
        np.savez(data, x=raw, y=labels, labels=np.array(samples.found.labels if normal is None else ["normal", "anomaly"]))
        verdict = api.verify(out, data, progress=step)
    if verdict.identical:  # a difference is looked at again each time
        samples.store.put(path, verdict.to_json())
    return verdict


def report_of(facts: dict[str, Any]) -> Report:
    """The inverse of `Report.to_json`."""
    layers = tuple(LayerReport(**layer) for layer in facts["layers"])
    return Report(**{**facts, "layers": layers, "notes": tuple(facts["notes"])})


def at_clock(report: Report, board: Board, mhz: float) -> Report:
    """The report at another clock than the board's. A cycle's energy is taken to be the same: the run current follows the clock."""
    if not mhz or report.cycles is None:
        return report
    hz = round(mhz * 1e6)
    layers = tuple(
        replace(layer, latency_ms=None if layer.cycles is None else milliseconds(layer.cycles, hz)) for layer in report.layers
    )
    sources = {
        **report.sources,
        "latency_ms": f"estimated: cycles at {mhz:g} MHz",
        "energy_uj": f"{report.sources.get('energy_uj', '')}, at {board.clock_hz / 1e6:g} MHz",
    }
    return replace(report, layers=layers, latency_ms=milliseconds(report.cycles, hz), sources=sources)
