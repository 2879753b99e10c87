"""Regression: a network that gives a number, trained, quantized with a last layer of full precision, and judged by its errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.text import number, plain
from sandgrain.bundle.features_in_c import Extractor
from sandgrain.bundle.verdict import Verdict
from sandgrain.compiler import passes
from sandgrain.dataset import targets
from sandgrain.dataset.targets import TargetOptions
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph.ir import Graph
from sandgrain.graph.numbers import Number, in_parts
from sandgrain.project import numbers
from sandgrain.project.build import deciding, errors, figures, limits, network, page, plots
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.folds import InFold
from sandgrain.project.build.limits import Variant
from sandgrain.project.build.network import Scaling
from sandgrain.project.build.result import Built
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.build.text import Line, Table
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Project
from sandgrain.project.inspection import Inspection
from sandgrain.project.tasks.base import Fitted, Judged, Task
from sandgrain.quantization.sums import with_sums

FINE = 1000  # parts of a deviation that the C's numbers have at least, if they can
MAX_DECIMALS = 6
REACH = 64  # deviations from the mean that the C's numbers can be
LARGEST = 1 << 30  # parts
LOSS = "Huber's, of numbers with a deviation of 1,"
WORST = 12  # test windows that are shown
SHOWN = 12  # groups that the page of text has a row for


@dataclass(frozen=True, slots=True)
class Worst:
    """A test window that is answered worst."""

    place: int  # among the test windows
    key: str  # of its recording
    number: float  # the true one
    said: float


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """How good the numbers are."""

    found: errors.Errors  # of the int8 C on this computer, whose bytes the emulated board was proven to give
    mae_float: float
    mae_after_training: float  # int8, before the network was trained again with the firmware's rounding
    said: Array  # float64 [n]: on all test windows
    truth: Array
    unit: str
    form: Number  # of the C
    step: float  # of the output, in the unit
    worst: tuple[Worst, ...]
    parameters: int
    learning_rate: float  # at its peak
    history: Mapping[str, Mapping[str, list[float]]]  # training -> figure -> one value per epoch


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """Numbers of the test windows, float64 [n]: of the int8 C, in floats, of int8 before it was trained with the firmware's rounding, the
    true ones, and the median of those that trained."""

    said: Array
    floats: Array
    after_training: Array
    truth: Array
    median: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """What `judge` needs to know of the fit."""

    net: network.Trained
    form: Number
    step: float
    answers: _Answers


class RegressionTask(Task[Numbers]):
    """See the head of this file."""

    name: ClassVar[str] = "regression"
    searched: ClassVar[bool] = True
    draft_note: ClassVar[str] = ", untrained"
    way_to_quality: ClassVar[str] = "give it more epochs, more data or other features"

    def takes(self, project: Project) -> bool:
        """A project that says where its numbers are."""
        return targets.asked(project.data.layout)

    def check(self, loaded: Loaded) -> None:
        """[decide]: not there, for there are no labels."""
        deciding.refused(loaded.project, "a model that gives a number decides for no label")

    def data(self, found: Inspection) -> tuple[Inspection, tuple[str, ...]]:
        """All of it, and which windows nobody says the number of."""
        limits.asked(found.loaded.project.budget, ())
        return found, tuple(numbers.notes(found))

    def labels(self, found: Inspection) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, run: Run) -> Fitted:
        """The network, trained and quantized; its last layer gives sums."""
        scaling = _scaling(run)
        form = form_of(scaling, _unit(run))
        with run.stage("training"):
            net = network.trained(run.samples, run.seed, run.progress)
        graph = _with_sums(net.model, scaling)
        with run.stage("int8 on this computer"):
            truth = run.samples.numbers("test")
            answers = _Answers(
                _said(run, graph, form),
                scaling.real(net.scores),
                _said(run, _with_sums(net.after_training, scaling), form),
                truth,
                np.full(len(truth), np.median(run.samples.numbers("train"))),
            )
        own = _Own(net, form, graph.tensors[graph.outputs[0]].scale, answers)
        return Fitted(text.write(graph), number=form, notes=net.notes, own=own)

    def judge(self, run: Run, fitted: Fitted, firmware: Firmware, verdict: Verdict) -> Judged[Numbers]:
        """Errors on all test windows."""
        own: _Own = fitted.own
        answers = own.answers if run.crossed is None else _pooled([fold.result.own for fold in run.crossed.tested])
        found = _errors(run, answers)
        of_all = Numbers(
            found=found,
            mae_float=_mae(answers.floats, answers.truth),
            mae_after_training=_mae(answers.after_training, answers.truth),
            said=answers.said,
            truth=answers.truth,
            unit=own.form.unit,
            form=own.form,
            step=own.step,
            worst=_worst(run, answers),
            parameters=own.net.parameters,
            learning_rate=own.net.lr,
            history=own.net.history,
        )
        o = found.overall
        checks = limits.quality(run.project.budget, limits.Quality(mae=o.mae, rmse=o.rmse, r2=o.r2, unit=own.form.unit))
        notes = errors.notes(found, of_all.mae_float, own.step, own.form.unit)
        return Judged(of_all, checks, int(np.abs(own.answers.said - own.answers.truth).argmin()), notes)

    def in_fold(self, run: Run, fitted: Fitted) -> InFold:
        """Errors of the int8 C, beside those of a constant, and R2."""
        own: _Own = fitted.own
        o = _errors(run, own.answers).overall
        if o.r2 is None:
            raise UsageError("the test windows of a fold all have the same number; choose fewer folds")
        names = {"mean error": o.mae, "of a constant": o.baseline, "RMS error": o.rmse}
        return InFold({**names, "R2": o.r2}, own=own.answers, errors=frozenset(names), shares=False)

    def recorded(self, run: Run, place: int, label: str) -> str:
        """See `Task.recorded`."""
        return f"{run.samples.numbers('test')[place]:g} {_unit(run)}".strip()

    # --- what would keep the limits

    def smaller(self, run: Run) -> Iterator[Variant]:
        """Narrower models."""
        return limits.scaled_widths(run.samples, limits.NARROWER)

    def larger(self, run: Run) -> Iterator[Variant]:
        """Wider models."""
        return limits.scaled_widths(run.samples, limits.WIDER)

    def draft(self, run: Run, width: int | None, front: FrontEnd, features: Array) -> Fitted:
        """The network, quantized as it is before training."""
        from sandgrain.train.network import untrained

        recipe = network.recipe(run.samples, run.seed, front, width)
        scaling = _scaling(run)
        graph = _with_sums(untrained(recipe, features, front.normalization.quant), scaling)
        return Fitted(text.write(graph), number=form_of(scaling, _unit(run)))

    # --- what is shown

    def json(self, built: Built[Numbers]) -> dict[str, Any]:
        """See `Task.json`."""
        f = built.figures
        return {
            **f.found.to_json(),
            "mae_float": f.mae_float,
            "mae_int8_after_training": f.mae_after_training,
            "unit": f.unit,
            "number": {"function": f"{built.report.name}_number", **asdict(f.form), "step": f.step},
            "parameters": f.parameters,
            "learning_rate": f.learning_rate,
            "worst": [asdict(w) for w in f.worst],
        }

    def heading(self, built: Built[Numbers]) -> list[str]:
        """See `Task.heading`."""
        sides = ", ".join(f"{count:,} {side}" for side, count in built.windows.items())
        what = f"{built.model}, {built.figures.parameters:,} parameters, seed {built.seed}, for {built.report.target}"
        return [
            f"{plain(built.name, 30)}: {what}",
            f"windows: {sides}; a number each; data set {built.samples.found.manifest.sha256[:12]}",
        ]

    def quality(self, built: Built[Numbers]) -> list[Line]:
        """Errors beside those of a constant."""
        return [Table(["error", "", ""], error_rows(built), (1,)), ""]

    def details(self, built: Built[Numbers]) -> list[Line]:
        """The worst groups, and the windows that are answered worst."""
        f = built.figures
        lines: list[Line] = []
        if len(f.found.groups) > 1:
            head = "file" if f.found.of_files else "group"
            rows = [[plain(g.name, 30), f"{g.windows:,}", number(g.mae), number(g.bias)] for g in f.found.groups[:SHOWN]]
            lines += [Table([head, "windows", "mean error", "on average"], rows, (1, 2, 3)), ""]
        told = "; ".join(f"{plain(w.key, 30)} {number(w.number)} as {number(w.said)}" for w in f.worst[:3])
        return [*lines, f"farthest off: {told}", ""]

    def page(self, built: Built[Numbers]) -> dict[str, Any]:
        """See `Task.page`."""
        f, r = built.figures, built.report
        o = f.found.overall
        return {
            "summary": f"{built.model}, a number, {f.parameters:,} parameters, learning rate {f.learning_rate:g}, seed {built.seed}, for {r.target} ({r.core})",
            "headline": [(_in(o.mae, f.unit), f"mean absolute error, int8, all {o.windows:,} test windows")],
            "errors": error_rows(built),
            "groups": [[plain(g.name, 40), f"{g.windows:,}", number(g.mae), number(g.bias)] for g in f.found.groups],
            "of_files": f.found.of_files,
            "unit": plain(f.unit, 20),
            "worst": _pictures(built),
            "plots": [*plots.of_numbers(f.said, f.truth, f.unit), *plots.curves(f.history, LOSS)],
        }


def form_of(scaling: Scaling, unit: str) -> Number:
    """Decimal parts of the unit that numbers with this mean and deviation are given in. Raises UsageError."""
    reach = abs(scaling.mean) + REACH * scaling.deviation
    decimals = min(max(math.ceil(math.log10(FINE / scaling.deviation)), 0), MAX_DECIMALS)
    while decimals and reach * 10**decimals > LARGEST:
        decimals -= 1
    if reach > LARGEST:
        raise UsageError(f"[data]: numbers up to {reach:g} do not fit 32 bits; give them in a larger unit, such as thousands")
    return Number(10**decimals, round(scaling.mean * 10**decimals), unit)


def error_rows(built: Built[Numbers]) -> list[list[str]]:
    """Of both pages."""
    f, v = built.figures, built.verdict
    o, unit = f.found.overall, f.unit
    how = "windows, each by the C of a fold that had not seen it" if built.folds else "test windows, its C"
    rows = [
        ["int8", _in(o.mae, unit), f"the mean, all {o.windows:,} {how}"],
        ["", "", f"{number(o.interval[0])} to {number(o.interval[1])} with 95 % confidence, over {o.over}"],
        ["float", _in(f.mae_float, unit), "PyTorch, the same windows"],
        ["a constant", _in(o.baseline, unit), f"what always saying {number(o.median)} would give, the training median"],
        ["RMS", _in(o.rmse, unit), "the root of the mean squared error"],
        ["R2", "-" if o.r2 is None else f"{o.r2:.3f}", "share of the test windows' variance that is explained"],
        ["95 %", _in(o.p95, unit), f"of the errors are at most so large; on average {number(o.bias)}"],
    ]
    if (worst := f.found.worst_group) is not None:
        what = "file" if f.found.of_files else "group"
        rows.append(["worst", _in(worst.mae, unit), f"{what} {plain(worst.name, 34)}, {worst.windows:,} windows"])
    rows.append(["a step", _in(f.step, unit), f"of the output; the C gives 1/{f.form.parts:,} of the unit"])
    same = "every byte is the reference's" if v.identical else "the bytes are NOT the reference's"
    ran = ", ".join(f"{name} {count:,}" for name, count in v.compared.items())
    return [*rows, ["proof", "none" if not v.compared else "identical" if v.identical else "DIFFERENT", f"{same} ({ran})"]]


def _pictures(built: Built[Numbers]) -> list[dict[str, Any]]:
    """The windows that are answered worst."""
    worst = built.figures.worst
    markup = page.window_pictures(built.samples, [w.place for w in worst])
    return [
        {"markup": markup[w.place], "key": plain(w.key, 200), "number": number(w.number), "said": number(w.said)} for w in worst
    ]


def _in(value: float, unit: str) -> str:
    return f"{number(value)} {plain(unit, 12)}".strip()


def _unit(run: Run) -> str:
    return run.found.manifest.layout.get(TargetOptions).target_unit


def _scaling(run: Run) -> Scaling:
    scaling = network.aim_of(run.samples).scaling
    assert scaling is not None  # takes() looked
    return scaling


def _with_sums(model: bytes, scaling: Scaling) -> Graph:
    return with_sums(text.read_any(model, "model"), scaling.deviation)


def _said(run: Run, graph: Graph, form: Number) -> Array:
    """float64 [n]: the numbers that the C gives for the test windows, on this computer."""
    x = run.samples.features("test")[0]
    key = digest("numbers", run.samples.key, text.write(graph).hex(), str(form))
    made = run.store.arrays("outputs", key, lambda: {"y": Extractor(passes.optimize(graph)).run(x).reshape(-1)})
    found: Array = in_parts(made["y"], graph.tensors[graph.outputs[0]], form) / form.parts
    return found


def _errors(run: Run, answers: _Answers) -> errors.Errors:
    own, of_files = figures.owners({r.key: r.group for r in run.found.records}, run.samples.keys("test"))
    return errors.of_numbers(answers.said, answers.truth, answers.median, errors.Owners(own, of_files), run.seed)


def _pooled(folds: Sequence[_Answers]) -> _Answers:
    """Of all folds, in the order of the test windows, which are those of one fold after the other."""
    return _Answers(*(np.concatenate([getattr(a, f.name) for a in folds]) for f in fields(_Answers)))


def _mae(said: Array, truth: Array) -> float:
    return float(np.abs(said - truth).mean())


def _worst(run: Run, answers: _Answers) -> tuple[Worst, ...]:
    off = np.abs(answers.said - answers.truth)
    keys = run.samples.keys("test")
    places: Sequence[int] = [int(k) for k in np.argsort(-off, kind="stable")[:WORST]]
    return tuple(Worst(k, keys[k], float(answers.truth[k]), float(answers.said[k])) for k in places)


TASK = RegressionTask()
