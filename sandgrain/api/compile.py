"""`sandgrain.compile`: a model in, C out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _bring
from sandgrain.api.profile import profile
from sandgrain.api.verify import verify
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import printable
from sandgrain.bundle import budget, store
from sandgrain.bundle import samples as datafile
from sandgrain.bundle.make import CompileRequest, Made, make
from sandgrain.bundle.report import Report
from sandgrain.bundle.verdict import Verdict
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.compiler.emit.model import Options, harness
from sandgrain.device import targets
from sandgrain.device.run.host import HostModel
from sandgrain.formats.sources import SUFFIXES as SUFFIXES
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import rules
from sandgrain.graph.decisions import Rule
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import dequantize
from sandgrain.graph.text import dump

MAX_LABELS = 1 << 16  # bytes of a label file


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

        Raises UsageError for samples that do not fit, ToolchainError without a C compiler.
        """
        outputs = _predict(store.load_bundle(self.folder), x)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def profile(self) -> Report:
        """`sandgrain.profile` of the folder: what one inference costs, per layer and in total."""
        return profile(self.folder)

    def verify(self, x: Any = None, y: Any = None, *, on: str = "both") -> Verdict:
        """`sandgrain.verify` of the folder on samples `x` (fresh ones by default) with labels `y`."""
        return verify(self.folder, x, labels=y, on=on)


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
    """Compile a model to C in a folder, and measure it on the emulated core.

    The kernels are chosen by running the candidates on that core. Where the RAM limit is exceeded, kernels that need less
    memory are taken, and then leading layers run in strips.

    `model`: path of a .tflite, .onnx, .keras or .pt2 file or of a graph's text; a live PyTorch or Keras model; a graph; None to
        compile `features` alone.
    `features`: a front end, or the path of its features.json; the C then takes raw samples.
    `target`: a board or a core; `sandgrain.targets()` lists them.
    `out`: folder of the C, which may hold an older bundle; by default it is named after the model.
    `name`: prefix of every C name; by default it is made from the model's file name.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.
    `calibration`: samples to quantize a model of floats with, some 100: an array [n, ...] of numbers in the model's own layout,
        a tuple of arrays for several inputs, or the path of an .npz with x.
    `labels`: the class names, or the path of a text file with one per line.
    `arena`: "static", or "caller": who owns the working memory.
    `section`: linker section of a static arena, such as ".dtcm".
    `weights_section`: linker section of the constant tables, such as ".ext_flash".
    `threshold`: of a model with one int32 score, an integer; the C says that scores above it are anomalies.
    `rule`: how the scores of a stream become decisions; the macros of NAME_decide.
    `compiler`: "zig" or "gcc": the compiler that the figures are for.
    `optimize`: "speed", "size" or "balanced": the goal by which kernels are chosen.
    `max_ram`: limit in bytes, or text such as "64K".
    `max_flash`: limit in bytes, or text such as "256K".
    `max_latency`: limit per inference in milliseconds, or text such as "50ms".
    `measure`: build the firmware and run it; without, the report holds what was planned and no code size, stack or time.
    `progress`: called with what is done, kernel candidates measured, and how many there are.

    Raises ModelError (UnsupportedError for a legal model that cannot be compiled) or UsageError for what cannot be used,
    BudgetError when a limit of the board or one given here cannot be kept, ToolchainError and RunError when a tool fails.
    On any error the folder is as it was.
    """
    path = _path(model)
    request = CompileRequest(
        title=path.name,
        out=Path(path.stem if out is None else out),
        limits=budget.limits(max_ram, max_flash, max_latency),
        front=_front(Path(features)) if isinstance(features, str | os.PathLike) else features,
        options=Options(name or identifier(path.stem), arena, section, rule or Rule(), threshold, weights_section),
        labels=labels if isinstance(labels, tuple) else _labels(Path(labels)) if labels is not None else (),
        board=targets.load(target),
        compiler=compiler,
        optimize=optimize,
        measure=measure,
        progress=progress,
    )
    if model is None:
        return result_of(make(request, None, None))
    with rules.located(printable(path.name)):
        brought = _bring.bring(model, path.stem, example_input, calibration)
    return result_of(make(request, brought.graph, brought.data), brought.snr_db)


def result_of(made: Made, snr_db: tuple[float, ...] | None = None) -> Result:
    """A bundle that was made, as Python is given it."""
    return Result(made.folder, made.report, dump(made.graph), snr_db)


def _predict(bundle: store.Bundle, x: Any) -> list[Array]:
    graph = bundle.compiled.imported
    host = HostModel(bundle.code, bundle.compiled.graph, harness(bundle.compiled.source))
    outputs = []
    for y, index in zip(host.run(_bring.fitted(graph, x)), graph.outputs, strict=True):
        quant = graph.tensors[index].quant
        real = y if quant is None or y.dtype != np.int8 else dequantize(y, quant)
        outputs.append(datafile.from_graph(real, graph.turned(index)))
    return outputs


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
            raise UsageError(f"--labels {path} is larger than {MAX_LABELS} bytes; give one label per line")
        return tuple(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        fact = type(error).__name__
        raise UsageError(f"--labels {path} cannot be read ({fact}); give a text file, one label per line") from None
