"""The public API: compile a model, profile it, verify it. The CLI calls nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain import budget, datafile, fit, importing, proof, spec, targets, tune
from sandgrain import verify as verification
from sandgrain.base.text import printable
from sandgrain.codegen.ctext import identifier
from sandgrain.codegen.model import Options, harness
from sandgrain.decide import Rule
from sandgrain.errors import ToolchainError, UsageError
from sandgrain.features.frontend import FrontEnd
from sandgrain.ir import Array, Graph
from sandgrain.measure import measure_folder, measure_with_room
from sandgrain.pipeline import emit, read
from sandgrain.printer import dump
from sandgrain.quant import dequantize
from sandgrain.report import Report
from sandgrain.run.host import HostModel
from sandgrain.survey import inspect
from sandgrain.verify import Verdict

__all__ = ["Result", "compile", "inspect", "profile", "verify"]

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
        found = _predict(proof.load_bundle(self.folder), x)
        return found[0] if len(found) == 1 else tuple(found)

    def profile(self) -> Report:
        """What one inference costs, a layer and in total."""
        return profile(self.folder)

    def verify(self, x: Any = None, y: Any = None, *, on: str = "emulator") -> Verdict:
        """The C held against its reference, byte for byte, on samples `x` (as for `predict`; seeded random ones by default).

        `y`: labels [n], for the accuracy. `on`: "emulator" or "host".
        """
        return _verify(proof.load_bundle(self.folder), x, y, on=on)


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
    threshold: int | None = None,
    rule: Rule | None = None,
    compiler: str = "zig",
    optimize: str = "balanced",
    max_ram: int | str | None = None,
    max_flash: int | str | None = None,
    max_latency: float | str | None = None,
    measure: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Compile a model to C in folder `out`.

    `model`: the path of a .tflite, .onnx, .keras or .pt2 file or of a graph's text; a live model of PyTorch or Keras, or a graph;
    None for `features` alone. `example_input`: for a live PyTorch module, a tensor of batch 1 (or a tuple of them).
    `calibration`: samples that a model of floats is quantized with: an array [n, ...] in the model's own layout, a tuple of them
    for several inputs, or an .npz with x.

    `features`: the front end between raw samples and the model's input, or a features.json that holds one; the C then takes
    raw samples, and where the front end names a stride also a stream of them.
    `target`: a board or core. `out`: by default named after the model. `name`: C prefix, by default made from the file name.
    `labels`: class names, or a file of
    one a line. `arena`: "static" or "caller". `section`: linker section of a static arena. `threshold`: of a
    model that gives one int32 score; the C then says which are anomalies. `rule`: how a stream's scores become decisions, the
    macros of `NAME_decide`. `optimize`: "speed", "size" or
    "balanced"; the kernels are chosen by running the candidates on the emulated core. `max_ram`, `max_flash`: bytes, or text
    such as "64K"; `max_latency`: milliseconds, or text such as "50ms". `measure`: do so, build the
    firmware and run it once (otherwise code size, instructions and what follows from them are None). `progress` is told
    candidates done and how many there are.

    When the RAM limit is exceeded, kernels that need less memory are taken, and then leading layers run in strips.

    Raises ModelError or UsageError for what cannot be compiled, BudgetError when a limit of the board or one given here
    cannot be kept, ToolchainError and RunError when a tool fails. On any error `out` is as it was.
    """
    if arena not in ("static", "caller"):
        raise UsageError(f"--arena {printable(arena)} is neither static nor caller")
    if arena == "caller" and section is not None:
        raise UsageError("--arena-section goes with --arena static; with caller, the caller places the arena")
    path, board = _path(model), targets.load(target)
    folder = Path(path.stem if out is None else out)
    limits = budget.limits(max_ram, max_flash, max_latency)
    front = features if isinstance(features, FrontEnd) or features is None else _front(Path(features))
    options = Options(name or identifier(path.stem), arena, section, rule or Rule(), threshold)
    words = labels if isinstance(labels, tuple) else _labels(Path(labels)) if labels is not None else ()
    if any(len(word.encode("utf-8", "replace")) > MAX_LABEL for word in words):
        raise UsageError(f"--labels: a label is longer than {MAX_LABEL} bytes; shorten it")
    opt = tune.FLAGS.get(optimize, "-O2")
    with spec.located(printable(path.name)):
        brought = None if model is None else importing.bring(model, path.stem, example_input, calibration)
        data = None if brought is None else brought.data
        imported, optimized = read(data, options.name, words, front)
        if brought is not None and front is None:
            imported = replace(imported, channels_first=brought.graph.channels_first)
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
    return Result(folder, report[0], dump(compiled.graph), None if brought is None else brought.snr_db)


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
    """Compare a bundle's C with the reference over a data set (.npz with x and y), or over seeded random inputs.

    Samples have the layout of the model that the bundle was made from, or that of its graph where only that fits.
    """
    return _verify(proof.load_bundle(Path(folder)), data, None, limit=limit, on=on, oracle=oracle, progress=progress)


def _verify(
    bundle: proof.Bundle, x: Any, y: Any, *, limit: int | None = None, on: str, oracle: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verdict:  # fmt: skip
    graph = bundle.compiled.imported
    if x is None:
        samples = datafile.random(graph, limit or RANDOM_SAMPLES)
    elif isinstance(x, str | os.PathLike):
        samples = datafile.load(Path(x), graph).head(limit)
    else:
        labels = None if y is None else np.asarray(y).reshape(-1).astype(np.int64)
        samples = datafile.DataSet(_fitted(graph, x), labels).head(limit)
        if labels is not None and len(labels) != samples.samples:
            raise UsageError(f"{len(labels)} labels for {samples.samples} samples; give one for each")
    return verification.verify(bundle, samples, on, oracle=oracle, progress=progress)


def _predict(bundle: proof.Bundle, x: Any) -> list[Array]:
    graph = bundle.compiled.imported
    host = HostModel(bundle.code, bundle.compiled.graph, harness(bundle.compiled.source))
    found = []
    for y, index in zip(host.run(_fitted(graph, x)), graph.outputs, strict=True):
        quant = graph.tensors[index].quant
        found.append(datafile.from_graph(y if quant is None or y.dtype != np.int8 else dequantize(y, quant), graph.turned(index)))
    return found


def _fitted(graph: Graph, x: Any) -> tuple[Array, ...]:
    """Samples as the graph's inputs take them."""
    given = zip(importing.arrays(x, graph), graph.inputs, strict=True)
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
