"""From what a user has, a path or a live model, to an int8 graph; and from their samples to its inputs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api._gather import Gathered, gather
from sandgrain.api._gather import numbers as gather_numbers
from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.bundle import samples as datafile
from sandgrain.bundle.samples import finite, numbers, to_graph
from sandgrain.formats import sources
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import Quantization, dequantize
from sandgrain.graph.scales import brings_scales
from sandgrain.quantization import Range
from sandgrain.quantization.keep import with_scales_kept

STAND_IN = Range(-4.0, 4.0)  # of every activation of a model of floats
MOST = 2000  # samples that calibration takes from a data set or an iterable
Samples = Any  # what `_gather.gather` takes, or the path of an .npz


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The graph of a model file, a graph, or a live model: of floats, or of int8 where the model is quantized.

    Raises ModelError or UnsupportedError for what cannot be read or converted, UsageError for a missing framework or example
    input.
    """
    graph = sources.load(model, name, example_input)
    return with_scales_kept(graph) if brings_scales(graph) else graph


# --- samples -----------------------------------------------------------------------------------------------------------


def gathered(samples: Samples, graph: Graph, most: int | None = None) -> Gathered:
    """Samples as they lie in a file or as Python has them: one array [n, ...] an input, with labels where there are some.

    `most`: of data sets and iterables take so many at most. Raises UsageError, in one line.
    """
    if isinstance(samples, str | os.PathLike):
        inputs, others = datafile.arrays_of(Path(samples), len(graph.inputs))
        found = Gathered(list(inputs.values()), others.get("y"))
    else:
        own = [sources.own_shape(graph.tensors[i].shape, graph.turned(i))[1:] for i in graph.inputs]
        found = gather(samples, own, most)
    if len({len(x) if x.ndim else 0 for x in found.inputs}) > 1:
        raise UsageError(f"inputs hold {', '.join(str(x.shape) for x in found.inputs)} samples; give the same number")
    count = len(found.inputs[0]) if found.inputs[0].ndim else 0
    if found.labels is not None and (found.labels.ndim < 1 or len(found.labels) != count):
        raise UsageError(f"y is {found.labels.dtype} {found.labels.shape} for {count} samples; give one label a sample")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Samples of a float graph: `inputs` float32 (positions: int32) [n, *shape]. `truth`: numbers [n] or [n, ...], or None."""

    inputs: tuple[Array, ...]
    truth: Array | None = None
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        return len(self.inputs[0])

    def at(self, places: Array) -> Labelled:
        """Some of the samples."""
        return Labelled(tuple(x[places] for x in self.inputs), None if self.truth is None else self.truth[places], self.notes)


def labelled(samples: Samples, graph: Graph, most: int | None = None, given: Quantization | None = None) -> Labelled:
    """Samples for a float graph, finite. `given`: what int8 samples stand for; other integers (pixels, say) count as they are."""
    found = gathered(samples, graph, most)
    where = f"{printable(Path(samples).name)}: " if isinstance(samples, str | os.PathLike) else ""
    inputs = []
    for k, (x, index) in enumerate(zip(found.inputs, graph.inputs, strict=True)):
        tensor, what = graph.tensors[index], f"{where}{_input_name(graph, k)}"
        arranged = to_graph(x, tensor, what, graph.turned(index))
        if arranged.dtype.kind not in "iuf":
            raise UsageError(f"{what} is {arranged.dtype}; give numbers")
        if given is not None and arranged.dtype == ACTIVATION.numpy:
            arranged = dequantize(arranged, given)
        inputs.append(finite(numbers(arranged, tensor, what), what))
    return Labelled(tuple(inputs), _finite_labels(found.labels), found.notes)


def _input_name(graph: Graph, position: int) -> str:
    """What an input's samples are called: as in an .npz file."""
    return "x" if len(graph.inputs) == 1 else f"x_{position}"


def _finite_labels(labels: Array | None) -> Array | None:
    if labels is not None and (labels.dtype.kind not in "iuf" or not np.isfinite(labels).all()):
        raise UsageError(f"y is {labels.dtype}{' with values that are not finite' * (labels.dtype.kind == 'f')}; give numbers")
    return labels


def numbers_of(x: Any) -> Array:
    """Labels as an array. Raises UsageError."""
    return gather_numbers(x, "labels")


def reals(samples: Samples, graph: Graph) -> list[Array]:
    """Samples for a float graph: float32 (positions: int32) [n, *shape], finite."""
    return list(labelled(samples, graph, MOST).inputs)


def fitted(graph: Graph, samples: Samples) -> tuple[Array, ...]:
    """Samples as the inputs of an int8 graph take them: [n, *shape] each, in its dtype. Raises UsageError."""
    return fitted_with_labels(graph, samples)[0]


def fitted_with_labels(graph: Graph, samples: Samples) -> tuple[tuple[Array, ...], Array | None]:
    """`fitted`, and the labels that came with the samples."""
    found = gathered(samples, graph)
    inputs = []
    for k, (x, index) in enumerate(zip(found.inputs, graph.inputs, strict=True)):
        what = _input_name(graph, k)
        inputs.append(datafile.fit(x, graph.tensors[index], what, graph.channels_first))
    return tuple(inputs), found.labels
