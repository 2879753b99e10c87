"""`sandgrain.compile`: a model in, C out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from sandgrain.api import _bring, _int8
from sandgrain.api._result import Result as Result
from sandgrain.api._result import result_of
from sandgrain.api._verb import verb
from sandgrain.base import scratch
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.base.reading import read_json, read_small, why
from sandgrain.base.text import printable
from sandgrain.bundle import budget, store
from sandgrain.bundle.make import CompileRequest, check_room, make
from sandgrain.bundle.tune import Goal
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.formats.sources import SUFFIXES as SUFFIXES
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import rules
from sandgrain.graph.decisions import Rule
from sandgrain.graph.ir import Graph
from sandgrain.graph.numbers import Number
from sandgrain.quantization import Method

MAX_LABELS = 1 << 16  # bytes of a label file


@verb
def compile(
    model: Any,
    *,
    features: str | os.PathLike[str] | FrontEnd | None = None,
    target: str = "cortex-m4",
    out: str | os.PathLike[str] | None = None,
    name: str | None = None,
    example_input: Any = None,
    calibration: Any = None,
    method: Method = "minmax",
    labels: str | os.PathLike[str] | tuple[str, ...] | None = None,
    arena: Literal["static", "caller"] = "static",
    section: str | None = None,
    weights_section: str | None = None,
    threshold: int | None = None,
    number: str | None = None,
    rule: Rule | None = None,
    compiler: Literal["zig", "gcc"] = "zig",
    optimize: Goal = "balanced",
    max_ram: int | str | None = None,
    max_flash: int | str | None = None,
    max_latency: float | str | None = None,
    measure: bool = True,
    progress: Watch = None,
) -> Result:
    """Compile a model to C in a folder, and measure it on the emulated core.

    The kernels are chosen by running the candidates on that core. Where the RAM limit is exceeded, kernels that need less
    memory are taken, and then leading layers run in strips.

    `model`: path of a .tflite, .onnx, .keras or .pt2 file or of a graph's text; a live PyTorch or Keras model; a graph; None to
        compile `features` alone.
    `features`: a front end, or the path of its features.json; the C then takes raw samples.
    `target`: a board or a core; `sandgrain.targets()` lists them.
    `out`: folder of the C, which may hold an older bundle; by default a temporary one,
        which goes when Python ends; `Result.save` keeps it.
    `name`: prefix of every C name; by default it is made from the model's file name.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.
    `calibration`: samples to quantize a model of floats with, some 100, in the model's own layout: an array [n, ...], a tuple of
        arrays for several inputs, (x, y) with labels, a list, loader, data set or iterable of samples or batches, or the path of an
        .npz with x (and y). At most 200 of them calibrate; float and int8 are compared on others, of which at least one in five is
        kept back.
    `method`: how the ranges of activations are found: "minmax", "average", "percentile", "mse" or "kl".
    `labels`: the class names, or the path of a text file with one per line.
    `arena`: "static", or "caller": who owns the working memory.
    `section`: linker section of a static arena, such as ".dtcm".
    `weights_section`: linker section of the constant tables, such as ".ext_flash".
    `threshold`: of a model with one int32 score, an integer; the C says that scores above it are anomalies.
    `number`: of a model with one int32 output, "PARTS,OFFSET,UNIT": the C gives what the output stands for, in parts of the unit.
    `rule`: how the scores of a stream become decisions; the macros of NAME_decide.
    `compiler`: "zig" or "gcc": the compiler that the figures are for.
    `optimize`: "speed", "size" or "balanced": the goal by which kernels are chosen.
    `max_ram`: limit in bytes, or text such as "64K".
    `max_flash`: limit in bytes, or text such as "256K".
    `max_latency`: limit per inference in milliseconds, or text such as "50ms".
    `measure`: build the firmware and run it; without, the report holds what was planned and no code size, stack or time.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises ModelError (UnsupportedError for a legal model that cannot be compiled) or UsageError for what cannot be used,
    BudgetError when a limit of the board or one given here cannot be kept, ToolchainError and RunError when a tool fails.
    On any error the folder is as it was.
    """
    path, options8 = _path(model), _int8.options_of(method)
    temporary = out is None
    with watched(progress) as step:
        request = CompileRequest(
            title=path.name,
            out=scratch.folder() / identifier(path.stem) if out is None else Path(out),
            limits=budget.limits(max_ram, max_flash, max_latency),
            front=_front(Path(features)) if isinstance(features, str | os.PathLike) else features,
            options=Options(
                name or identifier(path.stem),
                arena,
                section,
                rule or Rule(),
                threshold,
                None if number is None else Number.parse(number),
                weights_section,
            ),
            labels=labels if isinstance(labels, tuple) else _labels(Path(labels)) if labels is not None else (),
            board=targets.load(target),
            compiler=compiler,
            optimize=optimize,
            measure=measure,
            progress=step,
        )
        store.ready(request.out)
        if model is None:
            return result_of(make(request, None, None), temporary=temporary)
        with rules.located(printable(path.name)):
            _int8.check_calibration(model, path.stem, calibration, example_input)
            graph = _bring.load(model, path.stem, example_input)
            check_room(request, _int8.stand_in(graph))
            brought = _int8.quantized(model, graph, path.stem, calibration, options8, step)
        return result_of(make(request, brought.graph, brought.data), brought, temporary=temporary)


def _path(model: Any) -> Path:
    """What a model is called in messages and, without a suffix, in C."""
    if isinstance(model, str | os.PathLike):
        return Path(model)
    if model is None:
        return Path("features")
    return Path(identifier(model.name if isinstance(model, Graph) and model.name else type(model).__name__.lower()))


def _front(path: Path) -> FrontEnd:
    try:
        return FrontEnd.from_json(read_json(path))
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        fact = printable(f"{type(error).__name__} {error}")
        raise UsageError(f"--features {printable(str(path))} holds no features ({fact}); give a features.json") from None


def _labels(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in read_small(path, MAX_LABELS).decode("utf-8-sig").splitlines()]
        while lines and not lines[-1]:
            lines.pop()
    except (OSError, ValueError) as error:
        raise UsageError(f"--labels {path} cannot be read ({why(error)}); give a text file, one label per line") from None
    if not lines:
        raise UsageError(f"--labels {path} is empty; give one label per line")
    return tuple(lines)
