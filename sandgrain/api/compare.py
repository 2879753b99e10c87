"""`sandgrain.compare`: a model or a project on several boards, with several settings, side by side."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain.api import _bring, _int8
from sandgrain.api._extras import TRAIN, require
from sandgrain.api._quality import Comparison
from sandgrain.api._verb import verb
from sandgrain.base import files, intervals, scratch
from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.base.progress import Progress, Watch, watched
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import printable, size
from sandgrain.base.words import spoken
from sandgrain.bundle import costs, store, tune
from sandgrain.bundle.report import Report
from sandgrain.bundle.tune import Goal
from sandgrain.compiler import passes
from sandgrain.device import targets as boards
from sandgrain.formats import sources, text
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph
from sandgrain.quantization import METHODS, Method

if TYPE_CHECKING:
    from sandgrain.project.build.result import Built
    from sandgrain.project.file.load import Loaded

PLOTS = (".svg", ".png")
MAX_ROWS = 1000  # combinations
FIGURE = (7.0, 4.2)  # inches of the plot


@dataclass(frozen=True, slots=True)
class Setting:
    """One combination. `method` "": the model came in int8, or a project. `width` 0: the project's own; `seeds`: of its trainings."""

    target: str
    optimize: str
    method: str = ""
    width: int = 0
    seeds: tuple[int, ...] = ()

    def __str__(self) -> str:
        parts = [self.target, self.optimize, self.method, f"width {self.width}" if self.width else ""]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class CompareRow:
    """What one setting costs and gives. None: not known. `reason`: why nothing is, or "".

    `measure`: "accuracy", "AUC", "MAE" or ""; `value`: of the int8 model, the mean over the seeds; `low`, `high`: the interval that
    holds it with 95 %, over the samples (accuracy alone), and over seeds where there are several.
    """

    setting: Setting
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None
    energy_uj: float | None = None
    fits: bool | None = None
    measure: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    float_value: float | None = None
    samples: int | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        facts = asdict(self)
        return {**facts.pop("setting"), **facts}


@dataclass(frozen=True, slots=True, repr=False)
class CompareReport(Shown):
    """What `compare` found: a row for each combination."""

    model: str
    settings: tuple[CompareRow, ...]
    plot: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        plot = None if self.plot is None else str(self.plot)
        return {"model": self.model, "rows": [row.to_json() for row in self.settings], "plot": plot}

    def rows(self) -> list[Row]:
        """The combinations."""
        return [{**row.to_json(), "seeds": " ".join(map(str, row.setting.seeds))} for row in self.settings]

    def lines(self) -> list[Line]:
        names = [name for name in ("optimize", "method", "width") if len({getattr(r.setting, name) for r in self.settings}) > 1]
        measure = next((row.measure for row in self.settings if row.measure), "")
        columns = ["target", *names, "fits", "RAM", "flash", "ms", "uJ", *([measure, "95 %"] if measure else [])]
        rows = [
            [row.setting.target, *(str(getattr(row.setting, n)) for n in names), *_cells(row, bool(measure))]
            for row in self.settings
        ]
        first = len(names) + 2
        found: list[Line] = [
            f"{self.model}: {len(self.settings)} combinations",
            "",
            Table(columns, rows, range(first, len(columns))),
        ]
        found += [f"{row.setting}: {row.reason}" for row in self.settings if row.reason]
        return [*found, *([] if self.plot is None else [f"plot in {self.plot}"])]


def _cells(row: CompareRow, measured: bool) -> list[str]:
    fits = "-" if row.fits is None else "yes" if row.fits else "no"
    memory = ["-" if v is None else size(v) for v in (row.ram_bytes, row.flash_bytes)]
    work = ["-" if v is None else f"{v:.3g}" for v in (row.latency_ms, row.energy_uj)]
    if not measured:
        return [fits, *memory, *work]
    interval = "-" if row.low is None or row.high is None else f"{_value(row, row.low)} to {_value(row, row.high)}"
    return [fits, *memory, *work, "-" if row.value is None else _value(row, row.value), interval]


def _value(row: CompareRow, value: float) -> str:
    return f"{100 * value:.1f}" if row.measure == "accuracy" else f"{value:.3g}"


@verb
def compare(
    model: Any,
    targets: Sequence[str] | str = ("cortex-m4",),
    *,
    optimize: Sequence[Goal] | Goal = ("balanced",),
    methods: Sequence[Method] | Method = ("minmax",),
    widths: Sequence[int] = (),
    seeds: Sequence[int] = (),
    calibration: Any = None,
    example_input: Any = None,
    plot: str | os.PathLike[str] | None = None,
    progress: Watch = None,
) -> CompareReport:
    """Compare a model or a project on several boards and with several settings: RAM, flash, time, energy and accuracy of each.

    A model's layers are measured on the emulated core, and what was measured before is not run again. A project is built for each
    combination; trainings are kept in its `.sandgrain/`. A combination that cannot be made is a row that says why.

    `model`: what `sandgrain.compile` takes, the folder of a bundle, a sandgrain.toml, or the folder that has it.
    `targets`: boards or cores.
    `optimize`: goals: "speed", "size" or "balanced".
    `methods`: of a model of floats: ways to find the ranges of activations, as for `compile`.
    `widths`: of a project: sizes of its network, `[model] width`; by default its own.
    `seeds`: of a project: a training each; the accuracy is the mean over them. By default its own.
    `calibration`: of a model: samples as for `compile`; with labels, the rows have an accuracy.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.
    `plot`: a file to draw the rows in, .svg or .png.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises UsageError for what no combination can use, ModelError or UnsupportedError for a model that cannot be read.
    """
    names, goals = _listed(targets), _listed(optimize)
    for name in names:
        boards.load(name)
    for goal in goals:
        tune.check_goal(goal)
    drawn = None if plot is None else _plot_file(Path(plot))
    project = _is_project(model)
    ways, sizes = _listed(methods), tuple(widths)
    _check(project, (ways, sizes, tuple(seeds)), calibration is not None)
    with watched(progress) as step:
        if project:
            found = _projects(
                model, [Setting(t, g, "", w, tuple(seeds)) for w, g, t in itertools.product(sizes or (0,), goals, names)], step
            )
        else:
            found = _models(model, (names, goals, ways), (calibration, example_input), step)
    report = CompareReport(_title(model), tuple(found), drawn)
    if drawn is not None:
        with files.output(drawn, "name a file in a folder that exists") as file:
            file.write(_plotted(report, drawn.suffix.lower()))
    return report


def _listed(given: Any) -> tuple[str, ...]:
    """One word, or several, each once."""
    words = (given,) if isinstance(given, str) else tuple(given)
    if not words:
        raise UsageError("nothing to compare: an empty list was given; name one thing at least")
    return tuple(dict.fromkeys(words))


def _check(project: bool, listed: tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]], calibrated: bool) -> None:
    """Raises UsageError for what does not go with a model, or with a project."""
    methods, widths, seeds = listed
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"--methods {printable(str(method))!r} is not a way to calibrate; choose {', '.join(METHODS)}")
    if project and (calibrated or methods != ("minmax",)):
        raise UsageError("--calibration and --methods are for models; a project calibrates on its own data")
    if not project and (widths or seeds):
        raise UsageError("--widths and --seeds are for projects, which are trained; name a sandgrain.toml or its folder")
    if any(w < 1 for w in widths) or any(not 0 <= s < 2**32 for s in seeds):
        raise UsageError("--widths are 1 or more, --seeds from 0 to 2**32 - 1")


def _is_project(model: Any) -> bool:
    if not isinstance(model, str | os.PathLike):
        return False
    path = Path(model)
    return path.suffix == ".toml" or (path.is_dir() and (path / "sandgrain.toml").is_file())


def _title(model: Any) -> str:
    if isinstance(model, str | os.PathLike):
        return printable(Path(model).resolve().name)
    return printable(model.name if isinstance(model, Graph) else type(model).__name__)


# --- models ------------------------------------------------------------------------------------------------------------


def _models(
    model: Any, listed: tuple[tuple[str, ...], ...], samples: tuple[Any, Any], progress: Progress
) -> Iterator[CompareRow]:
    (names, goals, methods), (calibration, example_input) = listed, samples
    if isinstance(model, str | os.PathLike) and store.is_bundle(Path(model)):
        kept = store.load_bundle(Path(model)).origin.model
        if kept is None:
            raise UsageError(f"{printable(str(model))} computes features and has no network; give a bundle or a file with one")
        model = text.read_any(kept, "model")
    _int8.check_calibration(model, _title(model), calibration, example_input)
    with rules.located(_title(model)):
        graph = _bring.load(model, "model", example_input)
    ways: tuple[str, ...] = methods if sources.is_float(graph) else ("",)
    if ways == ("",) and methods != ("minmax",):
        raise UsageError(f"{_title(model)} is int8 already; --methods are for models of floats")
    count = len(ways) * len(goals) * len(names)
    if count > MAX_ROWS:
        raise UsageError(f"{count} combinations; {MAX_ROWS} at most")
    found: list[CompareRow] = []
    for way in ways:
        options = _int8.options_of(way) if way else None
        made = _int8.quantized(model, graph, _title(model), calibration, options, progress)
        optimized = passes.optimize(made.graph)
        for goal, name in itertools.product(goals, names):
            progress("comparing", len(found), count)
            found.append(_row(Setting(name, goal, way), optimized, made.compared))
    return iter(found)


def _row(setting: Setting, graph: Graph, compared: Comparison | None) -> CompareRow:
    board = boards.load(setting.target)
    quality = _quality(compared)
    try:
        choice = tune.choose(graph, board, "zig", setting.optimize)
        cost = costs.cost(graph, board, tune.toolchain_for("zig", setting.optimize), choice)
    except SandgrainError as error:
        return replace(CompareRow(setting, reason=spoken(str(error))), **quality)
    return replace(_costs(setting, cost.report, cost.fits), **quality)


def _costs(setting: Setting, r: Report, fits: bool) -> CompareRow:
    return CompareRow(setting, r.ram_bytes, r.flash_bytes, r.latency_ms, r.energy_uj, fits)


def _quality(compared: Comparison | None) -> dict[str, Any]:
    """How good it is, with its interval over the samples."""
    if compared is None or compared.int8_value is None:
        return {}
    low, high = (None, None)
    if compared.measure == "accuracy":
        low, high = intervals.of_share(compared.int8_value, compared.samples)
    return {
        "measure": compared.measure,
        "value": compared.int8_value,
        "float_value": compared.float_value,
        "low": low,
        "high": high,
        "samples": compared.samples,
    }


# --- projects ----------------------------------------------------------------------------------------------------------


def _projects(project: Any, settings: list[Setting], progress: Progress) -> Iterator[CompareRow]:
    require(*TRAIN, who="compare", extra="train")
    from sandgrain.project.file.load import load

    loaded = load(project)
    return iter([_built_row(loaded, setting, progress) for setting in settings])


def _built_row(loaded: Loaded, setting: Setting, progress: Progress) -> CompareRow:
    from sandgrain.project.build import run

    project = loaded.project
    target = project.target.model_copy(update={"board": setting.target, "optimize": setting.optimize})
    network = project.model.model_copy(update={"width": setting.width or project.model.width})
    changed = replace(loaded, project=project.model_copy(update={"target": target, "model": network}))
    seeds = setting.seeds or (project.train.seed,)
    made: list[Built[Any]] = []
    try:
        for seed in seeds:
            with scratch.scratch() as work:
                made.append(run.build(changed, work / "out", seed=seed, verified=1, progress=progress))
    except SandgrainError as error:
        return CompareRow(replace(setting, seeds=seeds), reason=spoken(str(error)))
    r, board = made[0].report, boards.load(setting.target)
    fits = r.ram_bytes <= board.ram_bytes and r.flash_bytes <= board.flash_bytes
    return replace(_costs(replace(setting, seeds=seeds), r, fits), **_trained(made))


def _trained(made: Sequence[Built[Any]]) -> dict[str, Any]:
    """How good the trainings are: the mean, with its interval over them, or over the test windows where there is one."""
    facts = [built.to_json() for built in made]
    measure = "accuracy" if "accuracy_int8_host" in facts[0] else "AUC"
    key = "accuracy_int8_host" if measure == "accuracy" else "auc"
    values = [float(f[key]) for f in facts if isinstance(f.get(key), int | float)]
    if len(values) < len(facts):
        return {}
    mean, windows = sum(values) / len(values), int(facts[0]["windows"]["test"])
    low, high = _interval(values, windows if measure == "accuracy" else 0)
    floats = [float(f["accuracy_float"]) for f in facts if "accuracy_float" in f]
    whole = sum(floats) / len(floats) if floats else None
    return {"measure": measure, "value": mean, "low": low, "high": high, "float_value": whole, "samples": windows}


def _interval(values: Sequence[float], windows: int) -> tuple[float | None, float | None]:
    """Of shares, over the trainings; of one training, over the test windows. Where both are known, what holds either: trainings that
    agree are no surer than their test. `windows`: 0 where the measure is no share of them."""
    found = [intervals.of_mean(values)] if len(values) > 1 else []
    if windows:
        found.append(intervals.of_share(sum(values) / len(values), windows))
    if not found:
        return None, None
    return max(min(low for low, _ in found), 0.0), min(max(high for _, high in found), 1.0)


# --- the plot ----------------------------------------------------------------------------------------------------------


def _plot_file(path: Path) -> Path:
    if path.suffix.lower() not in PLOTS:
        raise UsageError(f"--plot {printable(path.name)!r}: what to draw is said by its suffix; use {' or '.join(PLOTS)}")
    require("matplotlib", who="--plot")
    files.check_file(path)
    return path


def _plotted(report: CompareReport, suffix: str) -> bytes:
    """Time against the measure where there is one, otherwise against RAM; one point a row that could be made."""
    from sandgrain.dataset import charts

    rows = [row for row in report.settings if row.ram_bytes is not None]
    measure = next((row.measure for row in rows if row.value is not None), "")
    figure = charts.figure(*FIGURE)
    axes = figure.add_subplot()
    timed = any(row.latency_ms is not None for row in rows)
    for row in rows:
        x = row.latency_ms if timed else (row.flash_bytes or 0) / 1024
        y = row.value if measure else (row.ram_bytes or 0) / 1024
        if x is None or y is None:
            continue
        spread = None if row.low is None or row.high is None else [[max(y - row.low, 0)], [max(row.high - y, 0)]]
        axes.errorbar([x], [y], yerr=spread, fmt="o", capsize=3)
        axes.annotate(str(row.setting), (x, y), textcoords="offset points", xytext=(6, 4), fontsize=8)
    axes.set_xlabel("time of an inference, ms" if timed else "flash, KiB")
    axes.set_ylabel(measure or "RAM, KiB")
    axes.set_title(report.model)
    if suffix == ".svg":
        return charts.svg(figure).encode()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
