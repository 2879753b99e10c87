"""From what a user has, a path or a live model, to an int8 graph, and what that cost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandgrain.api import _bring, _doubts, _quality
from sandgrain.api._bring import Samples
from sandgrain.api._quality import Comparison
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import printable
from sandgrain.base.words import spoken
from sandgrain.bundle import samples as datafile
from sandgrain.formats import sources, text
from sandgrain.graph.ir import Graph
from sandgrain.quantization import Calibration, Options, Range, convert_with_ranges

STAND_IN = Range(-4.0, 4.0)  # of every activation of a model of floats


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A model as it is compiled: int8, and its bytes as a bundle keeps them. `graph` is what `data` reads as.

    `compared`: what int8 cost; None where nothing was quantized and there were no labels. `warnings`: one line each.
    """

    graph: Graph
    data: bytes
    compared: Comparison | None = None
    warnings: tuple[str, ...] = ()


def bring(
    model: Any, name: str, example_input: Any = None, calibration: Samples | None = None, options: Options | None = None
) -> Imported:
    """The int8 graph of a model file, a graph, or a live model of a known framework.

    A model of floats is quantized with `options`, its ranges measured on `calibration`. Raises ModelError or UnsupportedError for
    what cannot be read or converted, UsageError for a missing framework, example input or calibration.
    """
    check_calibration(model, name, calibration)
    return quantized(model, _bring.load(model, name, example_input), name, calibration, options)


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


def options_of(method: str) -> Options:
    """The options of a quantization whose ranges are found by `method`. Raises UsageError."""
    return Options(Calibration(method))


def quantized(
    model: Any,
    graph: Graph,
    name: str,
    calibration: Samples | None,
    options: Options | None = None,
    progress: Progress = silent,
) -> Imported:
    """`graph`, which is what `model` reads as, in int8. Raises as `bring` does."""
    if not sources.is_float(graph):
        kept = sources.kept(model)
        made = _written(graph, name) if kept is None else Imported(graph, kept)
        return made if calibration is None else replace(made, compared=_judged(graph, calibration))
    if calibration is None:
        raise _uncalibrated(name, [sources.own_shape(graph.tensors[i].shape, graph.turned(i))[1:] for i in graph.inputs])
    progress("reading samples", 0, 1)
    data = _bring.labelled(calibration, graph, _bring.MOST)
    calibrating, others = _quality.parted(data)
    progress("quantizing", 0, 1)
    trial = _doubts.Trial(
        graph, options or Options(), calibrating, _quality.head(graph, others or calibrating), others is not None
    )
    int8, compared = trial.run(trial.options)
    made = _written(int8, name)
    return replace(
        made,
        compared=compared,
        warnings=tuple(spoken(text) for text in (*data.notes, *_doubts.doubts(trial, compared, progress))),
    )


def _judged(graph: Graph, calibration: Samples) -> Comparison | None:
    """Of a model that came in int8: how good it is by the labels of the samples, where there are some."""
    inputs, labels = _bring.fitted_with_labels(graph, calibration)
    return None if labels is None else _quality.judge(graph, inputs, labels)


def _written(graph: Graph, name: str) -> Imported:
    """A graph as the bundle will keep it: what is compiled now is what will be compiled again from the bundle."""
    data = text.write_any(graph)
    return Imported(text.read_any(data, name), data)
