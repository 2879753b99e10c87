"""From a graph to a bundle: kernels chosen, C written and measured, limits kept. `sandgrain.compile` and projects both end here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from sandgrain.base.errors import ToolchainError, UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import plain, printable
from sandgrain.bundle import budget, fit, measure, store, streamed, tune
from sandgrain.bundle.labels import check_labels, check_words
from sandgrain.bundle.measure import Build
from sandgrain.bundle.report import Report
from sandgrain.compiler.emit.figures import Figures
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import at_rate, emit, outlined, read
from sandgrain.compiler.plan import Choice
from sandgrain.device.targets import Board
from sandgrain.device.toolchain import check_compiler
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph
from sandgrain.graph.states import state_note

AMPLE = 8192  # bytes: no model needs more RAM than this beside its arena


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompileRequest:
    """How a model becomes a bundle. The files that `sandgrain.compile` is given have been read."""

    title: str  # what messages and reports call the model
    out: Path  # folder of the bundle
    board: Board
    options: Options  # how the C is written
    front: FrontEnd | None = None  # the C takes raw samples and computes these features first
    labels: tuple[str, ...] = ()  # of the outputs
    compiler: str = "zig"  # the compiler that the figures are for
    optimize: str = "balanced"  # "speed", "size" or "balanced": the goal by which kernels are chosen
    limits: budget.Limits = field(default_factory=budget.Limits)
    measure: bool = True  # build the firmware and run it; without: no code size, no instructions, nothing that follows from them
    progress: Progress = silent  # told kernel candidates measured, and how many there are

    def __post_init__(self) -> None:
        """Raises UsageError for options that do not go together."""
        arena = self.options.arena
        if arena not in ("static", "caller"):
            raise UsageError(f"--arena {printable(arena)!r} is neither static nor caller")
        if arena == "caller" and self.options.section is not None:
            raise UsageError("--arena-section goes with --arena static; with caller, the caller places the arena")
        check_words(self.labels)
        tune.check_goal(self.optimize)
        if self.board.core.runs_firmware:
            check_compiler(self.compiler, self.board)
        if self.limits.latency_ms is not None and not (self.measure and self.board.core.runs_firmware):
            what = f"{self.board.name} has no firmware to run" if self.measure else "--no-measure runs nothing"
            raise UsageError(f"--max-latency is a limit for a measured time, and {what}; leave one of them out")


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A bundle in `folder`, what it costs, and its graph after the passes, as it runs."""

    folder: Path
    report: Report
    graph: Graph


def check_room(request: CompileRequest, graph: Graph) -> None:
    """Raise BudgetError for a graph that no choice of kernels makes fit: arena and weights alone are too large. Nothing is built.

    `graph`: int8; what is planned does not depend on its scales.
    """
    options, board = request.options, request.board
    _, optimized = read(graph, options.name, request.labels, request.front)
    stride = request.front.stride if request.front else 0
    ram, choice = budget.ram_limit(request.limits, board), Choice()
    if ram is not None:
        choice = fit.fit_choice(optimized, board.core.features, choice, ram)
    build = Build(outlined(optimized, board, options, choice, stride), board, title=request.title)
    budget.check_memory(measure.planned(build), request.limits, board)


def make(request: CompileRequest, graph: Graph | None, kept: bytes | None) -> Made:
    """Write the bundle of an int8 `graph`, or of the features alone where it is None.

    `kept`: the model's bytes as the bundle keeps them, a .tflite or a graph's text; `graph` is what they read as.

    Raises ModelError for what cannot be compiled, BudgetError when a limit of the board or of the request cannot be kept,
    ToolchainError and RunError when a tool fails. On any error the folder is as it was.
    """
    front, options, board = request.front, at_rate(request.options, request.front), request.board
    with rules.located(printable(request.title)):
        imported, optimized = read(graph, options.name, request.labels, front)
        check_labels(imported)
        choice = tune.choose(optimized, board, request.compiler, request.optimize, request.progress, measure=request.measure)
        compiled = emit(imported, optimized, board, options, choice, front.stride if front else 0)
    build = Build(compiled, board, tune.toolchain_for(request.compiler, request.optimize), plain(request.title))
    build, cost = _fitted_to_ram(build, request)
    reports: list[Report] = []
    origin = store.Origin(kept, front)

    def accept(written: Build) -> Figures:
        reports.append(_accept(written, request))
        return _figures(written, reports[0], store.command(written, origin, request.optimize))

    store.save(build, origin, request.out, accept)
    more = [note for note in (cost, state_note(imported)) if note]
    report = replace(reports[0], notes=(*reports[0].notes, *more))
    return Made(request.out, report, build.compiled.graph)


def _fitted_to_ram(build: Build, request: CompileRequest) -> tuple[Build, str]:
    """The build with kernels and strips that keep the limit of RAM, where there is one, and what that costs."""
    ram = budget.ram_limit(request.limits, build.board)
    if ram is None or build.compiled.source.plan.arena_bytes <= ram - AMPLE:
        return build, ""
    return fit.fit(build, ram, measure=request.measure)


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


def _accept(build: Build, request: CompileRequest) -> Report:
    """The report of a build that keeps its limits. Raises BudgetError, ToolchainError or RunError."""
    limits, board = request.limits, build.board
    planned = measure.measure(build, run=False)
    budget.check_memory(planned, limits, board)  # what cannot fit is not built
    try:
        report = measure.measure(build, run=True) if request.measure else planned
    except ToolchainError:
        budget.check_memory(measure.measure_with_room(build), limits, board)
        raise
    budget.check(report, limits, board)
    return streamed.with_result(report, build)
