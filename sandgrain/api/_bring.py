"""From what a user has, a path or a live model, to an int8 graph; and from their samples to its inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _compare
from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.bundle import samples as datafile
from sandgrain.bundle.samples import DataSet, numbers, to_graph
from sandgrain.formats import sources, text
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.scales import brings_scales
from sandgrain.quantization import Options, Range, convert_with_ranges, quantize
from sandgrain.quantization.keep import with_scales_kept

STAND_IN = Range(-4.0, 4.0)  # of every activation of a model of floats
Samples = Any  # an array [n, ...], a tuple of them (one an input), or the path of an .npz


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A model as it is compiled: int8, and its bytes as a bundle keeps them. `graph` is what `data` reads as.

    `floats`: the float graph that it was quantized from. `snr_db`: of each output against the float one, over the calibration
    samples; None where nothing was quantized.
    """

    graph: Graph
    data: bytes
    floats: Graph | None = None
    snr_db: tuple[float, ...] | None = None


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The graph of a model file, a graph, or a live model: of floats, or of int8 where the model is quantized.

    Raises ModelError or UnsupportedError for what cannot be read or converted, UsageError for a missing framework or example
    input.
    """
    graph = sources.load(model, name, example_input)
    return with_scales_kept(graph) if brings_scales(graph) else graph


def bring(
    model: Any, name: str, example_input: Any = None, calibration: Samples | None = None, options: Options | None = None
) -> Imported:
    """The int8 graph of a model file, a graph, or a live model of a known framework.

    A model of floats is quantized with `options`, its ranges measured on `calibration`. Raises ModelError or UnsupportedError for
    what cannot be read or converted, UsageError for a missing framework, example input or calibration.
    """
    check_calibration(model, name, calibration)
    return quantized(model, load(model, name, example_input), name, calibration, options)


def check_calibration(model: Any, name: str, calibration: Samples | None, example_input: Any = None, other: str = "") -> None:
    """Raise UsageError for what can be said before the model is read: samples in a file that is not there, a live model of floats
    without samples. `other`: a further way out.
    """
    if isinstance(calibration, str | os.PathLike):
        datafile.check_there(Path(calibration))
    if calibration is None and sources.computes_in_float(model):
        given = example_input if isinstance(example_input, tuple | list) else (example_input,)
        raise _uncalibrated(name, [tuple(x.shape)[1:] for x in given if hasattr(x, "shape")], other)


def _uncalibrated(name: str, shapes: Sequence[Sequence[int]], other: str = "") -> UsageError:
    shown = ", ".join(f"[n, {', '.join(map(str, shape))}]" for shape in shapes)
    return UsageError(
        f"{printable(name)} computes with floats; give calibration samples to quantize it{f' ({shown})' if shown else ''}, some 100"
        f" of them{other}"
    )


def stand_in(graph: Graph) -> Graph:
    """The int8 graph, where a graph is of floats with ranges that stand in for measured ones: what is planned does not depend on them."""
    if not sources.is_float(graph):
        return graph
    return convert_with_ranges(graph, dict.fromkeys(range(len(graph.tensors)), STAND_IN)).graph


def quantized(model: Any, graph: Graph, name: str, calibration: Samples | None, options: Options | None = None) -> Imported:
    """`graph`, which is what `model` reads as, in int8. Raises as `bring` does."""
    if not sources.is_float(graph):
        kept = sources.kept(model)
        return _written(graph, name) if kept is None else Imported(graph, kept)
    if calibration is None:
        own = [sources.own_shape(graph.tensors[i].shape, graph.channels_first)[1:] for i in graph.inputs]
        raise _uncalibrated(name, own)
    inputs = reals(calibration, graph)
    made = quantize(graph, inputs, options or Options())
    compared = _compare.compare(graph, made.graph, DataSet(tuple(inputs), None))
    return replace(_written(made.graph, name), floats=graph, snr_db=compared.snr_db)


def _written(graph: Graph, name: str) -> Imported:
    """A graph as the bundle will keep it: what is compiled now is what will be compiled again from the bundle."""
    data = text.write_any(graph)
    return Imported(text.read_any(data, name), data)


# --- samples -----------------------------------------------------------------------------------------------------------


def arrays(samples: Samples, graph: Graph) -> list[Array]:
    """Samples as arrays of numbers, one an input, all of one length. Raises UsageError."""
    if isinstance(samples, str | os.PathLike):
        found = list(datafile.arrays_of(Path(samples), len(graph.inputs))[0].values())
    else:
        found = [_array(x) for x in (samples if isinstance(samples, tuple | list) else (samples,))]
    if len(found) != len(graph.inputs):
        raise UsageError(f"{len(found)} arrays of samples for {len(graph.inputs)} inputs; give a tuple with one for each")
    if len({len(x) if x.ndim else 0 for x in found}) > 1:
        raise UsageError(f"inputs hold {', '.join(str(x.shape) for x in found)} samples; give the same number")
    return found


def _array(x: Any) -> Array:
    """An array of numbers: numpy's, or of a framework that numpy understands."""
    try:
        values = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = printable(type(x).__qualname__)
        raise UsageError(f"samples of {kind} are no array ({type(error).__name__}); give numpy arrays") from None
    if values.dtype.kind not in "iuf":
        raise UsageError(f"samples are {values.dtype}; give numbers")
    return values


def reals(samples: Samples, graph: Graph) -> list[Array]:
    """Samples for a float graph: float32 (positions: int32) [n, *shape], finite."""
    tensors = [graph.tensors[i] for i in graph.inputs]
    given = [numbers(x, t, "calibration") for x, t in zip(arrays(samples, graph), tensors, strict=True)]
    found = [to_graph(x, t, "calibration", graph.channels_first) for x, t in zip(given, tensors, strict=True)]
    if not all(np.isfinite(x).all() for x in found):
        raise UsageError("samples hold values that are not finite; remove them")
    return found


def fitted(graph: Graph, samples: Samples) -> tuple[Array, ...]:
    """Samples as the inputs of an int8 graph take them: [n, *shape] each, in its dtype. Raises UsageError."""
    given = zip(arrays(samples, graph), graph.inputs, strict=True)
    return tuple(datafile.fit(a, graph.tensors[i], "the array of samples", graph.channels_first) for a, i in given)
