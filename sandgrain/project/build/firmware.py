"""The stages that make and prove the C: compiled and measured once, verified once, as long as the folder still holds it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sandgrain.base.errors import BudgetError, SandgrainError
from sandgrain.base.progress import Progress
from sandgrain.base.scratch import scratch
from sandgrain.bundle import budget
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import store as proof
from sandgrain.bundle.make import CompileRequest, make
from sandgrain.bundle.report import Report
from sandgrain.bundle.verdict import Verdict
from sandgrain.bundle.verify import How, compare_with_reference
from sandgrain.compiler.emit.model import Options
from sandgrain.device.cost import milliseconds
from sandgrain.device.run.tflm import available
from sandgrain.device.targets import Board
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import rules
from sandgrain.graph.decisions import Rule
from sandgrain.graph.numbers import Number
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import Store, digest
from sandgrain.project.file.schema import Target

if TYPE_CHECKING:
    from sandgrain.project.tasks.base import Task


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is compiled: the int8 model behind its features, for a board."""

    model: bytes  # a .tflite, or a graph's text
    front: FrontEnd  # its features
    name: str  # the prefix in C
    labels: tuple[str, ...]  # of the outputs
    target: Target
    board: Board
    ram: int | None  # bytes that kernels and strips aim at
    threshold: int | None = None  # a score above it is an anomaly
    number: Number | None = None  # how the output becomes a number
    rule: Rule = field(default_factory=Rule)  # how a stream's results become decisions

    @property
    def key(self) -> str:
        front = self.front.to_json()
        how = [self.board.identity, self.target.compiler, self.target.optimize, self.target.arena, self.target.clock_mhz]
        judged = [self.threshold, asdict(self.rule), *([str(self.number)] if self.number else [])]
        return digest(
            "compiled", hashlib.sha256(self.model).hexdigest(), front, self.name, list(self.labels), how, self.ram, judged
        )


@dataclass(frozen=True, slots=True, eq=False)
class Firmware:
    """A bundle that was compiled and measured."""

    folder: Path
    bundle: proof.Bundle
    report: Report

    @property
    def decides(self) -> bool:
        """Whether its C turns a stream's results into decisions (NAME_decide)."""
        return self.bundle.compiled.source.has("decide")


def compiled(request: Request, out: Path, store: Store, progress: Progress) -> Firmware:
    """The bundle in `out`, which is written unless it is there. Limits of the project are not checked here.

    Raises what `api.compile` raises, BudgetError if the board itself is too small.
    """
    path = store.path("compiled", request.key, ".json")
    known = store.peek(path)
    if known is not None:
        report, bundle = Report.from_json(known), _bundle(out)
        if bundle is not None and bundle.compiled.source.build_id == report.build_id and not bundle.edited:
            return Firmware(out, bundle, report)
    report = at_clock(_compile(request, out, progress), request.board, request.target.clock_mhz)
    store.put(path, report.to_json())
    return Firmware(out, proof.load_bundle(out), report)


def _bundle(out: Path) -> proof.Bundle | None:
    try:
        return proof.load_bundle(out)
    except SandgrainError:
        return None


def measured(request: Request, store: Store, progress: Progress) -> Report:
    """The report alone: the bundle is thrown away."""

    def make() -> dict[str, Any]:
        with scratch() as work:
            report = _compile(request, work / "bundle", progress)
        return at_clock(report, request.board, request.target.clock_mhz).to_json()

    return Report.from_json(store.json("measured", request.key, make))


def _compile(request: Request, out: Path, progress: Progress) -> Report:
    target = request.target
    title = f"{request.name}.tflite"
    with rules.located(title):
        graph = text.read_any(request.model, request.name)

    def run(ram: int | None) -> Report:
        how = CompileRequest(
            title=title,
            out=out,
            board=request.board,
            options=Options(request.name, target.arena, rule=request.rule, threshold=request.threshold, number=request.number),
            front=request.front,
            labels=request.labels,
            compiler=target.compiler,
            optimize=target.optimize,
            limits=budget.Limits(ram_bytes=ram),
            progress=progress,
        )
        return make(how, graph, request.model).report

    if request.ram is not None:
        try:
            return run(request.ram)
        except BudgetError:
            pass  # no kernel and no strip brings it under: what it then costs is measured all the same
    return run(None)


def verified(run: Run, task: Task[Any], firmware: Firmware, places: list[int]) -> Verdict:
    """The bundle held against its reference over the test windows at `places`, from raw samples on."""
    samples = run.samples
    told = [task.name, run.project.model.options]
    key = digest("verified", firmware.report.build_id, samples.key, places, available(), told)
    path = samples.store.path("verified", key, ".json")
    known = samples.store.peek(path)
    if known is not None:
        return Verdict.from_json(known)
    raw, labels = samples.raw("test", places)
    with scratch() as work:
        data = work / "test.npz"
        np.savez(data, x=raw, **task.truth(run.found, labels))  # type: ignore[arg-type]
        windows = datafile.load(data, firmware.bundle.compiled.imported)
    verdict = compare_with_reference(firmware.bundle, windows, How(seed=0), run.progress)
    if verdict.identical:  # a difference is looked at again each time
        samples.store.put(path, verdict.to_json())
    return verdict


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
    result = None if report.result_cycles is None else milliseconds(report.result_cycles, hz)
    return replace(report, layers=layers, latency_ms=milliseconds(report.cycles, hz), result_ms=result, sources=sources)
