"""A float model and its int8 twin on the same samples: outputs, accuracy, signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.bundle import on_host
from sandgrain.bundle.samples import DataSet, arrays_of, numbers, to_graph
from sandgrain.graph import reals
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, Tensor
from sandgrain.graph.quantization import Quantization, dequantize, quantize
from sandgrain.quantization.report import snr_db


@dataclass(frozen=True, slots=True)
class Comparison:
    """Float against int8 over `samples`. Accuracies are shares of the labels found, None without labels or classes.

    `snr_db`: of each output, signal power over error power; inf where they are equal.
    """

    samples: int
    accuracy_float: float | None
    accuracy_int8: float | None
    snr_db: tuple[float, ...]


def load(path: Path, graph: Graph, given: Quantization | None = None) -> DataSet:
    """Read `x` (or `x_0`, `x_1`, ...) and optional `y` for a float graph; the inputs come as float32 [n, *shape].

    `given`: what int8 samples stand for; other integers (pixels, say) count as they are. Raises UsageError, in one line.
    """
    shown = printable(path.name)
    samples, arrays = arrays_of(path, len(graph.inputs))
    inputs = tuple(
        _floats(to_graph(x, graph.tensors[i], f"{shown}: {n}", graph.turned(i)), graph.tensors[i], given, f"{shown}: {n}")
        for (n, x), i in zip(samples.items(), graph.inputs, strict=True)
    )
    if len({len(x) for x in inputs}) > 1:
        raise UsageError(f"{shown}: inputs hold {', '.join(str(len(x)) for x in inputs)} samples; give the same number")
    labels = arrays.get("y")
    if labels is not None:
        if labels.size != len(inputs[0]) or labels.dtype.kind not in "iu":
            raise UsageError(f"{shown}: y is {labels.dtype} {labels.shape}; give one integer label a sample")
        labels = labels.reshape(-1).astype(np.int64)
    return DataSet(inputs, labels)


def _floats(x: Array, tensor: Tensor, given: Quantization | None, what: str) -> Array:
    if x.dtype.kind not in "iuf":
        raise UsageError(f"{what} is {x.dtype}; give numbers")
    if given is not None and x.dtype == ACTIVATION.numpy:
        x = dequantize(x, given)
    values = numbers(x, tensor, what)
    if not np.isfinite(values).all():
        raise UsageError(f"{what} holds values that are not finite; remove those samples")
    return values


def int8_outputs(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of an int8 graph by its C on this computer, as reals: float32 [n, *shape] each (indices int32).

    `inputs`: float32 [n, *shape]; they are quantized by the graph's inputs. Raises ToolchainError without a compiler.
    """
    host = on_host.compiled(graph)
    given = []
    for x, index in zip(inputs, graph.inputs, strict=True):
        tensor = graph.tensors[index]
        given.append(x if tensor.quant is None else quantize(x, tensor.quant, tensor.dtype))
    found = []
    for y, index in zip(host.run(given), graph.outputs, strict=True):
        tensor = graph.tensors[index]
        found.append(y if tensor.quant is None else dequantize(y, tensor.quant))
    return found


def accuracy(output: Array, labels: Array | None) -> float | None:
    """Share of samples whose largest output is the label's; None without labels or with fewer than two outputs."""
    rows = output.reshape(len(output), -1)
    if labels is None or rows.shape[1] < 2:
        return None
    return float((rows.argmax(axis=1) == labels).mean())


def compare(graph: Graph, int8: Graph, data: DataSet) -> Comparison:
    """`graph` (float) and `int8` on the same samples."""
    exact, rounded = reals.outputs(graph, data.inputs), int8_outputs(int8, data.inputs)
    return Comparison(
        data.samples,
        accuracy(exact[0], data.labels),
        accuracy(rounded[0], data.labels),
        tuple(snr_db(a, b) for a, b in zip(exact, rounded, strict=True)),
    )
