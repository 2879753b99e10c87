"""The public API: compile a model, profile it, verify it. The CLI calls nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sandgrain import budget, datafile, fit, proof, spec, targets, tune
from sandgrain import verify as verification
from sandgrain.codegen.ctext import identifier, printable
from sandgrain.codegen.model import Options
from sandgrain.errors import ToolchainError, UsageError
from sandgrain.features.frontend import FrontEnd
from sandgrain.frontends import text, tflite
from sandgrain.ir import Graph
from sandgrain.measure import measure_folder, measure_with_room
from sandgrain.pipeline import emit, read
from sandgrain.printer import dump
from sandgrain.report import Report
from sandgrain.verify import Verdict

RANDOM_SAMPLES = 10
AMPLE = 8192  # bytes: no model needs more RAM than this beside its arena
MAX_LABELS = 1 << 16  # bytes of a label file
MAX_LABEL = 1000  # bytes of one label; C promises string literals of 4095 characters, and an escaped byte takes four


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What `compile_model` made: where, what it costs, and the optimized graph as text."""

    folder: Path
    report: Report
    text: str


def compile_model(
    model: str | os.PathLike[str] | Graph | None,
    *,
    features: str | os.PathLike[str] | FrontEnd | None = None,
    target: str = "cortex-m4",
    out: str | os.PathLike[str],
    name: str | None = None,
    labels: str | os.PathLike[str] | tuple[str, ...] | None = None,
    arena: str = "static",
    section: str | None = None,
    threshold: int | None = None,
    compiler: str = "zig",
    optimize: str = "balanced",
    limits: budget.Limits | None = None,
    measure: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Compile an int8 model to C in folder `out`: a .tflite file, a file with a graph's text, or a graph.

    `features`: the front end between raw samples and the model's input, or a features.json that holds one; the C then takes
    raw samples, and where the front end names a stride also a stream of them. `model` None: the features alone.
    `target`: a board or core. `name`: C prefix, by default made from the file name. `labels`: class names, or a file of
    one a line. `arena`: "static" or "caller". `section`: linker section of a static arena. `threshold`: of a
    model that gives one int32 score; the C then says which are anomalies. `optimize`: "speed", "size" or
    "balanced"; the kernels are chosen by running the candidates on the emulated core. `measure`: do so, build the
    firmware and run it once (otherwise code size, instructions and what follows from them are None). `progress` is told
    candidates done and how many there are.

    When the RAM limit is exceeded, kernels that need less memory are taken, and then leading layers run in strips.

    Raises ModelError or UsageError for what cannot be compiled, BudgetError when a limit of the board or of `limits`
    cannot be kept, ToolchainError and RunError when a tool fails. On any error `out` is as it was.
    """
    if arena not in ("static", "caller"):
        raise UsageError(f"--arena {printable(arena)} is neither static nor caller")
    if arena == "caller" and section is not None:
        raise UsageError("--arena-section goes with --arena static; with caller, the caller places the arena")
    path, board, folder = _path(model), targets.load(target), Path(out)
    limits = limits or budget.Limits()
    front = features if isinstance(features, FrontEnd) or features is None else _front(Path(features))
    data = None if model is None else text.write(model) if isinstance(model, Graph) else tflite.read_file(path)
    options = Options(name or identifier(path.stem), arena, section, threshold=threshold)
    words = labels if isinstance(labels, tuple) else _labels(Path(labels)) if labels is not None else ()
    if any(len(word.encode("utf-8", "replace")) > MAX_LABEL for word in words):
        raise UsageError(f"--labels: a label is longer than {MAX_LABEL} bytes; shorten it")
    opt = tune.FLAGS.get(optimize, "-O2")
    with spec.located(printable(path.name)):
        imported, optimized = read(data, options.name, words, front)
        choice = tune.choose(optimized, board, compiler, optimize, progress, measure=measure)
        compiled = emit(imported, optimized, board, options, choice, front.stride if front else 0)
    ram = budget.ram_limit(limits, board)
    cost = ""
    if ram is not None and compiled.source.plan.arena_bytes > ram - AMPLE:
        compiled, cost = fit.fit(compiled, board, compiler, opt, ram, measure=measure)
    report: list[Report] = []

    def accept(place: Path) -> None:
        planned = measure_folder(place, compiled, board, compiler, opt, path.name, run=False)
        budget.check_memory(planned, limits, board)  # what cannot fit is not built
        try:
            measured = measure_folder(place, compiled, board, compiler, opt, path.name, run=True) if measure else planned
        except ToolchainError:
            budget.check_memory(measure_with_room(place, compiled, board, compiler, opt, path.name), limits, board)
            raise
        budget.check(measured, limits, board)
        report.append(replace(measured, notes=(*measured.notes, cost) if cost else measured.notes))

    proof.save(compiled, proof.Origin(data, front), board, compiler, opt, path.name, folder, accept)
    return Result(folder, report[0], dump(compiled.graph))


def profile(folder: str | os.PathLike[str], *, target: str | None = None, compiler: str | None = None) -> Report:
    """What one inference of a bundle costs, a layer and in total; on another `target` of the same core features if given."""
    bundle = proof.load_bundle(Path(folder))
    board = targets.load(target) if target else bundle.board
    if not bundle.board.core.features <= board.core.features:
        raise UsageError(
            f"the C was made for {bundle.board.core.name}, which has features {board.core.name} lacks; compile for {board.name}"
        )
    return measure_folder(bundle.folder, bundle.compiled, board, compiler or bundle.compiler, bundle.opt, bundle.model, run=True)


def verify(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    limit: int | None = None,
    on: str = "emulator",
    oracle: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verdict:
    """Compare a bundle's C with the reference over a data set (.npz with x and y), or over seeded random inputs."""
    bundle = proof.load_bundle(Path(folder))
    graph = bundle.compiled.imported
    samples = datafile.random(graph, limit or RANDOM_SAMPLES) if data is None else datafile.load(Path(data), graph).head(limit)
    return verification.verify(bundle, samples, on, oracle=oracle, progress=progress)


def _path(model: str | os.PathLike[str] | Graph | None) -> Path:
    """What a model is called in messages and, without a suffix, in C."""
    if isinstance(model, Graph):
        return Path(identifier(model.name or "model"))
    return Path("features" if model is None else model)


def _front(path: Path) -> FrontEnd:
    try:
        if path.stat().st_size > proof.MAX_JSON:
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
