"""The public API: compile a model, profile it, verify it. The CLI calls nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import bring
from sandgrain.api.inspect import inspect
from sandgrain.base.errors import ToolchainError, UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import printable
from sandgrain.bundle import budget, fit, store, tune
from sandgrain.bundle import measure as measuring
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import verify as verification
from sandgrain.bundle.measure import Build
from sandgrain.bundle.report import Report
from sandgrain.bundle.verify import Verdict
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.compiler.emit.figures import Figures
from sandgrain.compiler.emit.model import Options, harness
from sandgrain.compiler.pipeline import emit, read
from sandgrain.device import targets
from sandgrain.device.run.host import HostModel
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import rules
from sandgrain.graph.decisions import Rule
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import dequantize
from sandgrain.graph.text import dump

__all__ = ["CompileRequest", "Result", "compile", "inspect", "profile", "verify"]

RANDOM_SAMPLES = 10
AMPLE = 8192  # bytes: no model needs more RAM than this beside its arena
MAX_LABELS = 1 << 16  # bytes of a label file
MAX_LABEL = 1000  # bytes of one label; C promises string literals of 4095 characters, and an escaped byte takes four


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What `compile` made: where it lies, what it costs, and the optimized graph as text.

    `snr_db`: of each output against the model of floats, over the calibration samples; None where nothing was quantized.
    """

    folder: Path
    report: Report
    text: str
    snr_db: tuple[float, ...] | None = None

    def predict(self, x: Any) -> Any:
        """The outputs of the compiled C, run on this computer: float32 where they have a scale, in the model's own layout.

        `x`: an array [n, ...] in the model's own layout, or a tuple of them for several inputs, or the path of an .npz; floats
        are quantized for an int8 input. One array comes back for one output, a tuple for several.
        """
        found = _predict(store.load_bundle(self.folder), x)
        return found[0] if len(found) == 1 else tuple(found)

    def profile(self) -> Report:
        """What one inference costs, a layer and in total."""
        return profile(self.folder)

    def verify(self, x: Any = None, y: Any = None, *, on: str = "emulator") -> Verdict:
        """The C held against its reference, byte for byte, on samples `x` (as for `predict`; seeded random ones by default).

        `y`: labels [n], for the accuracy. `on`: "emulator" or "host".
        """
        bundle = store.load_bundle(self.folder)
        return verification.verify(bundle, _samples(bundle, x, y), on)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompileRequest:
    """What `compile` is asked for: one field per option."""

    model: Any  # path of a .tflite, .onnx, .keras or .pt2 file or a graph's text; a live model; a graph; None: `features` alone
    features: str | os.PathLike[str] | FrontEnd | None = None  # front end, or its features.json; the C takes raw samples
    target: str = "cortex-m4"  # a board or a core
    out: str | os.PathLike[str] | None = None  # folder of the bundle; None: named after the model
    name: str | None = None  # prefix of every C name; None: made from the model's file name
    example_input: Any = None  # for a live PyTorch module: a tensor of batch 1, or a tuple of them
    calibration: Any = None  # samples to quantize floats with: array [n, ...] in the model's layout, a tuple of them, or an .npz
    labels: str | os.PathLike[str] | tuple[str, ...] | None = None  # class names, or a text file with one label per line
    arena: str = "static"  # "static" or "caller": who owns the working memory
    section: str | None = None  # linker section of a static arena
    weights_section: str | None = None  # linker section of the constant tables
    threshold: int | None = None  # for a model with one int32 score: the C says which scores are anomalies
    rule: Rule | None = None  # how the scores of a stream become decisions: the macros of NAME_decide
    compiler: str = "zig"  # the compiler that the figures are for
    optimize: str = "balanced"  # "speed", "size" or "balanced": the goal by which kernels are chosen
    max_ram: int | str | None = None  # bytes, or text such as "64K"
    max_flash: int | str | None = None  # bytes, or text such as "256K"
    max_latency: float | str | None = None  # milliseconds, or text such as "50ms"
    measure: bool = True  # build the firmware and run it; without: no code size, no instructions, nothing that follows from them
    progress: Progress = silent  # told kernel candidates measured, and how many there are

    def __post_init__(self) -> None:
        """Raises UsageError for options that do not go together."""
        if self.arena not in ("static", "caller"):
            raise UsageError(f"--arena {printable(self.arena)} is neither static nor caller")
        if self.arena == "caller" and self.section is not None:
            raise UsageError("--arena-section goes with --arena static; with caller, the caller places the arena")

    @property
    def path(self) -> Path:
        """What the model is called in messages and, without a suffix, in C."""
        return _path(self.model)

    @property
    def folder(self) -> Path:
        return Path(self.path.stem if self.out is None else self.out)

    @property
    def front(self) -> FrontEnd | None:
        """The front end, read from its file where only that is named. Raises UsageError."""
        return self.features if isinstance(self.features, FrontEnd) or self.features is None else _front(Path(self.features))

    @property
    def options(self) -> Options:
        """How the C is written."""
        name = self.name or identifier(self.path.stem)
        return Options(name, self.arena, self.section, self.rule or Rule(), self.threshold, self.weights_section)

    @property
    def words(self) -> tuple[str, ...]:
        """The labels, read from their file where only that is named. Raises UsageError."""
        words = self.labels if isinstance(self.labels, tuple) else _labels(Path(self.labels)) if self.labels is not None else ()
        if any(len(word.encode("utf-8", "replace")) > MAX_LABEL for word in words):
            raise UsageError(f"--labels: a label is longer than {MAX_LABEL} bytes; shorten it")
        return words


def compile(
    model: Any,
    *,
    features: str | os.PathLike[str] | FrontEnd | None = None,
    target: str = "cortex-m4",
    out: str | os.PathLike[str] | None = None,
    name: str | None = None,
    example_input: Any = None,
    calibration: Any = None,
    labels: str | os.PathLike[str] | tuple[str, ...] | None = None,
    arena: str = "static",
    section: str | None = None,
    weights_section: str | None = None,
    threshold: int | None = None,
    rule: Rule | None = None,
    compiler: str = "zig",
    optimize: str = "balanced",
    max_ram: int | str | None = None,
    max_flash: int | str | None = None,
    max_latency: float | str | None = None,
    measure: bool = True,
    progress: Progress = silent,
) -> Result:
    """Compile a model to C in folder `out`.

    The options are the fields of `sandgrain.api.compile.CompileRequest`, which says what each means. The kernels are chosen by
    running the candidates on the emulated core. When the RAM limit is exceeded, kernels that need less memory are taken,
    and then leading layers run in strips.

    Raises ModelError or UsageError for what cannot be compiled, BudgetError when a limit of the board or one given here
    cannot be kept, ToolchainError and RunError when a tool fails. On any error `out` is as it was.
    """
    return _compile(CompileRequest(**locals()))


def _compile(request: CompileRequest) -> Result:
    limits = budget.limits(request.max_ram, request.max_flash, request.max_latency)
    front, options, words = request.front, request.options, request.words
    board, title = targets.load(request.target), request.path.name
    with rules.located(printable(title)):
        brought = None
        if request.model is not None:
            brought = bring.bring(request.model, request.path.stem, request.example_input, request.calibration)
        imported, optimized = read(None if brought is None else brought.graph, options.name, words, front)
        choice = tune.choose(optimized, board, request.compiler, request.optimize, request.progress, measure=request.measure)
        compiled = emit(imported, optimized, board, options, choice, front.stride if front else 0)
    build = Build(compiled, board, tune.toolchain_for(request.compiler, request.optimize), title)
    build, cost = _fitted_to_ram(build, limits, measure=request.measure)
    origin = store.Origin(None if brought is None else brought.data, front)
    reports: list[Report] = []

    def accept(written: Build) -> Figures:
        reports.append(_accept(written, limits, request))
        return _figures(written, reports[0], store.command(written, origin, request.optimize))

    store.save(build, origin, request.folder, accept)
    report = replace(reports[0], notes=(*reports[0].notes, cost)) if cost else reports[0]
    return Result(request.folder, report, dump(build.compiled.graph), None if brought is None else brought.snr_db)


def _fitted_to_ram(build: Build, limits: budget.Limits, *, measure: bool) -> tuple[Build, str]:
    """The build with kernels and strips that keep the limit of RAM, where there is one, and what that costs."""
    ram = budget.ram_limit(limits, build.board)
    if ram is None or build.compiled.source.plan.arena_bytes <= ram - AMPLE:
        return build, ""
    return fit.fit(build, ram, measure=measure)


def _figures(build: Build, report: Report, command: str) -> Figures:
    """What the header says of a report."""
    return Figures(
        model=build.title,
        target=build.board.name,
        core=build.board.core.name,
        compiler=f"{build.toolchain.compiler} {build.toolchain.opt}",
        ram_bytes=report.ram_bytes,
        flash_bytes=report.flash_bytes,
        stack_bytes=report.stack_bound_bytes,
        instructions=report.instructions,
        command=command,
    )


def _accept(build: Build, limits: budget.Limits, request: CompileRequest) -> Report:
    """The report of a build that keeps its limits. Raises BudgetError, ToolchainError or RunError."""
    planned = measuring.measure(build, run=False)
    budget.check_memory(planned, limits, build.board)  # what cannot fit is not built
    try:
        report = measuring.measure(build, run=True) if request.measure else planned
    except ToolchainError:
        budget.check_memory(measuring.measure_with_room(build), limits, build.board)
        raise
    budget.check(report, limits, build.board)
    return report


def profile(folder: str | os.PathLike[str], *, target: str | None = None, compiler: str | None = None) -> Report:
    """What one inference of a bundle costs, a layer and in total; on another `target` of the same core features if given."""
    bundle = store.load_bundle(Path(folder))
    board = targets.load(target) if target else bundle.board
    if not bundle.board.core.features <= board.core.features:
        raise UsageError(
            f"the C was made for {bundle.board.core.name}, which has features {board.core.name} lacks; compile for {board.name}"
        )
    toolchain = replace(bundle.build.toolchain, compiler=compiler or bundle.build.toolchain.compiler)
    return measuring.measure(replace(bundle.build, board=board, toolchain=toolchain), run=True)


def verify(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    limit: int | None = None,
    on: str = "emulator",
    oracle: bool = True,
    progress: Progress = silent,
) -> Verdict:
    """Compare a bundle's C with the reference over a data set (.npz with x and y), or over seeded random inputs.

    Samples have the layout of the model that the bundle was made from, or that of its graph where only that fits.
    """
    bundle = store.load_bundle(Path(folder))
    return verification.verify(bundle, _samples(bundle, data, None, limit), on, oracle=oracle, progress=progress)


def _samples(bundle: store.Bundle, x: Any, y: Any, limit: int | None = None) -> datafile.DataSet:
    """The first `limit` samples of `x`, an array or a file, as the bundle's graph takes them; seeded random ones for None."""
    graph = bundle.compiled.imported
    if x is None:
        return datafile.random(graph, limit or RANDOM_SAMPLES)
    if isinstance(x, str | os.PathLike):
        return datafile.load(Path(x), graph).head(limit)
    labels = None if y is None else np.asarray(y).reshape(-1).astype(np.int64)
    samples = datafile.DataSet(_fitted(graph, x), labels).head(limit)
    if labels is not None and len(labels) != samples.samples:
        raise UsageError(f"{len(labels)} labels for {samples.samples} samples; give one for each")
    return samples


def _predict(bundle: store.Bundle, x: Any) -> list[Array]:
    graph = bundle.compiled.imported
    host = HostModel(bundle.code, bundle.compiled.graph, harness(bundle.compiled.source))
    found = []
    for y, index in zip(host.run(_fitted(graph, x)), graph.outputs, strict=True):
        quant = graph.tensors[index].quant
        found.append(datafile.from_graph(y if quant is None or y.dtype != np.int8 else dequantize(y, quant), graph.turned(index)))
    return found


def _fitted(graph: Graph, x: Any) -> tuple[Array, ...]:
    """Samples as the graph's inputs take them."""
    given = zip(bring.arrays(x, graph), graph.inputs, strict=True)
    return tuple(datafile.fit(a, graph.tensors[i], "the array of samples", graph.channels_first) for a, i in given)


def _path(model: Any) -> Path:
    """What a model is called in messages and, without a suffix, in C."""
    if isinstance(model, str | os.PathLike):
        return Path(model)
    if model is None:
        return Path("features")
    return Path(identifier(model.name if isinstance(model, Graph) and model.name else type(model).__name__.lower()))


def _front(path: Path) -> FrontEnd:
    try:
        if path.stat().st_size > store.MAX_JSON:
            raise ValueError("too large")
        return FrontEnd.from_json(json.loads(path.read_text("utf-8")))
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        fact = printable(f"{type(error).__name__} {error}")
        raise UsageError(f"--features {printable(str(path))} holds no features ({fact}); give a features.json") from None


def _labels(path: Path) -> tuple[str, ...]:
    try:
        if path.stat().st_size > MAX_LABELS:
            raise UsageError(f"--labels {path} is larger than {MAX_LABELS} bytes; give one label a line")
        return tuple(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--labels {path} cannot be read ({type(error).__name__}); give a text file, one label a line") from None
