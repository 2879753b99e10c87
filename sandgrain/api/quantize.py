"""`sandgrain.quantize`: a model file of floats to an int8 .tflite, with what it cost."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _bring, _compare
from sandgrain.api._compare import Comparison
from sandgrain.api._verb import verb
from sandgrain.base import files
from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.base.text import printable
from sandgrain.bundle.samples import DataSet
from sandgrain.formats import sources
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import rules
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.quantization import METHODS as METHODS
from sandgrain.quantization import Calibration, Method, Options
from sandgrain.quantization import quantize as quantize_graph
from sandgrain.quantization.report import LayerError, layer_errors

SAMPLES = 200  # that calibration takes where no number is given


@dataclass(frozen=True, slots=True)
class QuantizeReport:
    """What `quantize` did. `layers`: worst first. `compared`: on samples that calibration did not see, if there are any;
    `held_out` says so.
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

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        compared = asdict(self.compared)
        compared["snr_db"] = [None if v == math.inf else v for v in self.compared.snr_db]
        return {
            "model": self.model,
            "out": str(self.out),
            **asdict(self.options),
            "calibrated": self.calibrated,
            "held_out": self.held_out,
            "float_bytes": self.float_bytes,
            "int8_bytes": self.int8_bytes,
            **compared,
            "layers": [layer.to_json() for layer in self.layers],
        }


@verb
def quantize(
    model: str | os.PathLike[str],
    calibration: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    method: Method = "percentile",
    percent: float = 99.99,
    equalize: bool = False,
    bias_correction: bool = True,
    samples: int = SAMPLES,
    test: str | os.PathLike[str] | None = None,
    input_scale: float | None = None,
    input_zero_point: int = 0,
) -> QuantizeReport:
    """Quantize a model file of floats to int8, write it as a .tflite, and say what each layer lost.

    `model`: a file of floats (.tflite, .onnx, .keras, .pt2).
    `calibration`: .npz with x (and y), in the model's own layout; samples that do not calibrate are what float and int8 are
        compared on.
    `out`: the .tflite to write.
    `method`: how the ranges of activations are chosen, "minmax", "average", "percentile", "mse" or "kl".
    `percent`: share of the values, in percent, that the method "percentile" keeps on each side.
    `equalize`: bring channels to like ranges first.
    `bias_correction`: correct the means of layers by their biases.
    `samples`: how many calibrate.
    `test`: .npz to compare float and int8 on instead.
    `input_scale`: scale of the int8 input, where something before the model decides it; int8 samples are read by it.
    `input_zero_point`: its zero point, -128 to 127.

    Raises ModelError, UnsupportedError or UsageError; `out` is then as it was.
    """
    source, target = Path(model), Path(out)
    options = Options(Calibration(method, percent), "activations" if equalize else "none", bias_correction)
    given = _input_quant(input_scale, input_zero_point)
    with rules.located(printable(source.name)):
        graph = _bring.load(source, source.stem)
        if not sources.is_float(graph):
            raise UnsupportedError("this is not a float model; it is quantized already")
    if given is not None and len(graph.inputs) > 1:
        raise UsageError(f"--input-scale is for models of one input; this one has {len(graph.inputs)}")
    seen = _compare.load(Path(calibration), graph, given)
    count = min(samples, seen.samples)
    first, rest = _cut(seen, 0, count), _cut(seen, count, seen.samples)
    other = _compare.load(Path(test), graph, given) if test is not None else (rest if rest.samples else first)
    with rules.located(printable(source.name)):
        made = quantize_graph(graph, first.inputs, options, {} if given is None else {graph.inputs[0]: given})
    compared = _compare.compare(graph, made.graph, other)
    layers = tuple(layer_errors(made, first.inputs))
    written = writer.write(made.graph)
    files.write_all({target: written})
    return QuantizeReport(
        printable(source.name), target, options, count, other is not first, _weight_bytes(graph), len(written), compared, layers
    )


def _input_quant(scale: float | None, zero_point: int) -> Quantization | None:
    if scale is None:
        return None
    if not (math.isfinite(scale) and np.float32(scale) > 0):
        raise UsageError(f"--input-scale {scale:g}; give a number above 0")
    if not ACTIVATION.low <= zero_point <= ACTIVATION.high:
        raise UsageError(f"--input-zero-point {zero_point}; give an integer from {ACTIVATION.low} to {ACTIVATION.high}")
    return per_tensor(scale, zero_point)


def _cut(data: DataSet, first: int, last: int) -> DataSet:
    labels = None if data.labels is None else data.labels[first:last]
    return DataSet(tuple(x[first:last] for x in data.inputs), labels)


def _weight_bytes(graph: Graph) -> int:
    """Bytes of the float32 constants."""
    return sum(t.nbytes for t in graph.tensors if t.data is not None)
