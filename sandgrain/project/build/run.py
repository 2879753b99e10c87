"""`sandgrain build`: data, features, limits, fit, compile, verify, judge; each stage is kept by the hash of what it is made from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandgrain.base import cache, files
from sandgrain.base.errors import BudgetError
from sandgrain.base.progress import Progress, silent
from sandgrain.bundle.verdict import Verdict
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.project import inspection
from sandgrain.project.build import advice, example, firmware, folds, limits, place
from sandgrain.project.build.battery import battery_of
from sandgrain.project.build.firmware import Firmware, Request
from sandgrain.project.build.result import Built
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Clock, Run
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import Loaded
from sandgrain.project.tasks import task_of
from sandgrain.project.tasks.base import Fitted, Judged, Task

VERIFIED = 500  # test windows that run on the emulated board; the host runs all
SIDES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The firmware, its proof, and how good it is."""

    firmware: Firmware
    verdict: Verdict
    judged: Judged[Any]


def build(
    loaded: Loaded,
    out: Path,
    *,
    seed: int | None = None,
    verified: int = VERIFIED,
    cut: folds.Cut | None = None,
    progress: Progress = silent,
) -> Built[Any]:
    """Everything from the project's data to its verified C in `out`.

    `seed`: instead of the project's. `verified`: test windows, at most, that run on the emulated board. `cut`: for
    cross-validation before it. Limits that are missed
    are in `Built.missed`; the C is there all the same. With `cut` the firmware is trained on everything, and how good it is, the
    folds say. Raises UsageError, ModelError, ToolchainError and RunError, BudgetError
    before training where the untrained model is already over a limit of cost, and if the board is too small.
    """
    prepare()
    place.ready(out)
    place.leftovers(out)
    task, clock = task_of(loaded.project), Clock()
    task.check(loaded)
    with clock.stage("data"):
        found, notes = task.data(inspection.inspect(loaded, progress=progress))
    seed = loaded.project.train.seed if seed is None else seed
    samples = Samples(found, Store(loaded.work / "build"), seed)
    run = Run(samples, out, seed, verified, progress, clock)
    progress("features", 0, 1)
    if cut is None:
        with run.stage("features"):
            samples.features("test")
            samples.features("train")
    with run.stage("limits, untrained"):
        advice.before_training(run, task, request_of(run, Fitted(b"", task.labels(found))))
    if cut is not None:
        with run.stage(cut.how):
            crossed = folds.run(run, task, cut)
        run = folds.on_everything(run, task, crossed)
    fitted = task.fit(run)
    request = request_of(run, fitted)
    progress("compiling", 0, 1)
    with run.stage("compile and measure"):
        made = _compiled(run, task, request)
    with run.stage("verify"):
        verdict = firmware.verified(run, task, made, run.samples.spread("test", verified))
    outcome = Outcome(made, verdict, task.judge(run, fitted, made, verdict))
    built = _finished(run, task, request, outcome, (*outcome.judged.notes, *notes, *fitted.notes))
    if run.crossed is not None:
        built = replace(built, folds=run.crossed.folds, trained_on=run.crossed.trained_on)
    write_report(built)
    return built


def write_report(built: Built[Any]) -> None:
    """All figures, to report.json beside the C."""
    with files.output(built.folder / "report.json") as file:
        file.write(json.dumps(built.to_json(), indent=1).encode() + b"\n")


def prepare() -> None:
    """Set what PyTorch reads when it is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for each other make a busy machine 8 times slower
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.folder() / "torch"))  # else a folder is left in the temporary one


def request_of(run: Run, fitted: Fitted) -> Request:
    """What is compiled of a fitted model."""
    return Request(
        model=fitted.model,
        front=run.samples.front,
        name=identifier(run.found.loaded.file.resolve().parent.name),
        labels=fitted.labels,
        target=run.project.target,
        board=run.board,
        ram=run.project.budget.limits.ram_bytes,
        threshold=fitted.threshold,
        number=fitted.number,
        rule=fitted.rule,
    )


def _compiled(run: Run, task: Task[Any], request: Request) -> Firmware:
    try:
        return firmware.compiled(request, run.out, run.store, run.progress)
    except BudgetError as error:  # the board itself: nothing could be linked, so nothing is measured
        variant = advice.first_that_fits(run, task, request)
        hint = f"; {variant.how} was measured{task.draft_note}, and fits" if variant else ""
        raise BudgetError(f"{error}{hint}") from None


def _finished(run: Run, task: Task[Any], request: Request, outcome: Outcome, notes: tuple[str, ...]) -> Built[Any]:
    """The example, the advice, and all of it as one value."""
    report = outcome.firmware.report
    checks = (*limits.costs(run.project.budget, run.board, report), *outcome.judged.checks)
    missed = [c for c in checks if not c.kept]
    with run.stage("example"):
        printed = example.made(run, task, outcome.firmware, outcome.judged.example)
    told = ""
    if missed:
        with run.stage("what would fit"):
            told = advice.advice(run, task, request, missed)
    return Built(
        task=task,
        name=run.found.name,
        folder=run.out,
        seed=run.seed,
        model=run.project.model.name,
        labels=run.found.labels,
        report=report,
        verdict=outcome.verdict,
        figures=outcome.judged.figures,
        windows={side: run.samples.count(side) for side in SIDES},
        checks=checks,
        advice=told,
        battery=battery_of(report, run.project.target, run.board),
        notes=(*(f"{c.name} are {c.doubt}" for c in checks if c.doubt), *notes),
        example=printed,
        samples=run.samples,
        stages=tuple(run.clock.stages),
    )
