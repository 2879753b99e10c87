"""`sandgrain.quantize`: a model file of floats to an int8 .tflite, with what it cost."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _bring, _doubts, _int8, _quality
from sandgrain.api._quality import Comparison
from sandgrain.api._verb import verb
from sandgrain.base import files, together
from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import decibels, printable
from sandgrain.base.words import spoken
from sandgrain.formats import sources
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import rules
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.quantization import METHODS as METHODS
from sandgrain.quantization import Calibration, Method, Options
from sandgrain.quantization.report import LayerError, layer_errors

SAMPLES = _quality.CALIBRATED
SHOWN = 8  # layers that people are shown


@dataclass(frozen=True, slots=True, repr=False)
class QuantizeReport(Shown):
    """What `quantize` did. `layers`: worst first. `compared`: float against int8, on samples that calibration did not see if there
    are any; `held_out` says so. `warnings`: one line each.
    """

    model: str
    out: Path
    options: Options
    calibrated: int
    held_out: bool
    float_bytes: int
    int8_bytes: int
    compared: Comparison
    layers: tuple[LayerError, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {
            "model": self.model,
            "out": str(self.out),
            **asdict(self.options),
            "calibrated": self.calibrated,
            "float_bytes": self.float_bytes,
            "int8_bytes": self.int8_bytes,
            **self.compared.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            "warnings": list(self.warnings),
        }

    def rows(self) -> list[Row]:
        """The layers, the worst first."""
        return [layer.to_json() for layer in self.layers]

    def lines(self) -> list[Line]:
        return self.page(SHOWN)

    def page(self, layers: int) -> list[Line]:
        """`lines` with so many layers."""
        found: list[Line] = [f"{self.model}: calibrated on {self.calibrated} samples, {self.options.calibration.method}"]
        found += [*self.compared.lines(), *_doubts.shown(self.warnings)]
        if layers:
            rows = [
                [str(e.index), e.op, decibels(e.snr_db), decibels(e.alone_db), spoken(e.advice)] for e in self.layers[:layers]
            ]
            title = "Layers, the worst first (dB: with int8 before it; alone: on exact inputs)"
            found += ["", Table(["#", "layer", "dB", "alone", "what to do"], rows, (0, 2, 3), (1,), title), ""]
        return [*found, f"wrote {self.out}: {self.int8_bytes} bytes, {self.float_bytes} bytes of float weights before"]


@verb
def quantize(
    model: Any,
    calibration: Any,
    out: str | os.PathLike[str],
    *,
    method: Method = "percentile",
    percent: float = 99.99,
    equalize: bool = False,
    bias_correction: bool = True,
    samples: int = SAMPLES,
    test: Any = None,
    input_scale: float | None = None,
    input_zero_point: int = 0,
    example_input: Any = None,
    progress: Watch = None,
) -> QuantizeReport:
    """Quantize a model of floats to int8, write it as a .tflite, and say what it cost, layer by layer.

    `model`: a file of floats (.tflite, .onnx, .keras, .pt2), a live PyTorch or Keras model, or a graph.
    `calibration`: samples in the model's own layout, as `sandgrain.compile` takes them, with labels where there are some; those that
        do not calibrate are what float and int8 are compared on.
    `out`: the .tflite to write.
    `method`: how the ranges of activations are chosen: "minmax", "average", "percentile", "mse" or "kl".
    `percent`: share of the values, in percent, that the method "percentile" keeps on each side.
    `equalize`: bring channels to like ranges first.
    `bias_correction`: correct the means of layers by their biases.
    `samples`: how many calibrate, at most; one in five is kept back where there are not more.
    `test`: samples to compare float and int8 on instead.
    `input_scale`: scale of the int8 input, where something before the model decides it; int8 samples are read by it.
    `input_zero_point`: its zero point, -128 to 127.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises ModelError, UnsupportedError or UsageError; `out` is then as it was.
    """
    target, (title, name) = Path(out), _names(model)
    options = Options(Calibration(method, percent), "activations" if equalize else "none", bias_correction)
    given = _input_quant(input_scale, input_zero_point)
    files.check_file(target)
    _int8.check_calibration(model, name, calibration, example_input)
    with rules.located(title):
        graph = _bring.load(model, name, example_input)
        if not sources.is_float(graph):
            raise UnsupportedError("this is not a float model; it is quantized already")
    if given is not None and len(graph.inputs) > 1:
        raise UsageError(f"--input-scale is for models of one input; this one has {len(graph.inputs)}")
    trial = _trial(graph, options, (calibration, test, samples), given)
    with watched(progress) as step, rules.located(title):
        step("quantizing", 0, 1)
        made, compared = trial.run(options)
        layers = tuple(layer_errors(trial.made, trial.calibrating.inputs)) if trial.made is not None else ()
        written = writer.write(made)
        warnings = (*trial.calibrating.notes, *_doubts.doubts(trial, compared, step))
    together.write_all({target: written})
    return QuantizeReport(
        title, target, options, trial.calibrating.samples, compared.held_out, _weight_bytes(graph), len(written), compared, layers,
        tuple(spoken(text) for text in warnings),
    )  # fmt: skip


def _names(model: Any) -> tuple[str, str]:
    """(what messages call the model, what its graph is called)."""
    if isinstance(model, str | os.PathLike):
        return printable(Path(model).name), Path(model).stem
    name = model.name if isinstance(model, Graph) else type(model).__name__
    return printable(name), name or "model"


def _trial(graph: Graph, options: Options, data: tuple[Any, Any, int], given: Quantization | None) -> _doubts.Trial:
    """`data`: calibration samples, others to test on or None, and how many calibrate."""
    calibration, test, most = data
    seen = _bring.labelled(calibration, graph, _bring.MOST, given)
    if test is not None:
        other = _bring.labelled(test, graph, None, given)
        calibrating = seen.at(np.arange(min(most, seen.samples)))
    else:
        calibrating, rest = _quality.parted(seen, most)
        other = calibrating if rest is None else rest
    fixed = {} if given is None else {graph.inputs[0]: given}
    return _doubts.Trial(graph, options, calibrating, other, other is not calibrating, fixed)


def _input_quant(scale: float | None, zero_point: int) -> Quantization | None:
    if scale is None:
        return None
    if not (math.isfinite(scale) and np.float32(scale) > 0):
        raise UsageError(f"--input-scale {scale:g}; give a number above 0")
    if not ACTIVATION.low <= zero_point <= ACTIVATION.high:
        raise UsageError(f"--input-zero-point {zero_point}; give an integer from {ACTIVATION.low} to {ACTIVATION.high}")
    return per_tensor(scale, zero_point)


def _weight_bytes(graph: Graph) -> int:
    """Bytes of the float32 constants."""
    return sum(t.nbytes for t in graph.tensors if t.data is not None)
