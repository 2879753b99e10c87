"""A line: one number per window, a linear fit of least squares to labels that are numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sandgrain.bundle.features_in_c import Extractor
from sandgrain.bundle.verdict import Verdict
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import per_tensor
from sandgrain.project.build import limits
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.limits import Check, Variant
from sandgrain.project.build.result import Built
from sandgrain.project.build.stages import Run
from sandgrain.project.build.text import Line, Table
from sandgrain.project.file.schema import Project
from sandgrain.project.tasks.base import Fitted, Judged, Task

LOW, HIGH = -0.5, 3.5  # what an output can say


@dataclass(frozen=True, slots=True)
class Errors:
    """Mean absolute errors."""

    int8: float
    guess: float  # of one that always says the mean


class StraightLine(Task[Errors]):
    """One number per window."""

    name: ClassVar[str] = "line"
    way_to_quality: ClassVar[str] = "give it more data"

    def takes(self, project: Project) -> bool:
        return project.model.name == "least_squares"

    def fit(self, run: Run) -> Fitted:
        with run.stage("fit"):
            x, y = run.samples.features("train")
            graph = linear(run.samples.front, x, numbers(run, y))
        return Fitted(text.write(graph), own=graph)

    def judge(self, run: Run, fitted: Fitted, firmware: Firmware, verdict: Verdict) -> Judged[Errors]:
        x, y = run.samples.features("test")
        graph: Graph = fitted.own
        quant = graph.tensors[graph.outputs[0]].quant
        assert quant is not None
        steps = Extractor(graph).run(x).reshape(len(x)).astype(float) - quant.zero_point[0]
        truth = numbers(run, y)
        errors = Errors(float(abs(quant.scale[0] * steps - truth).mean()), float(abs(truth - truth.mean()).mean()))
        return Judged(errors, (Check("error", "1", 0.5, errors.int8, "the task"),), 0)

    def smaller(self, run: Run) -> Iterator[Variant]:
        return limits.widths(run.samples, [1])

    def draft(self, run: Run, width: int | None, front: FrontEnd, features: Array) -> Fitted:
        return Fitted(text.write(linear(front, features, np.arange(len(features)) % 4.0)))

    def json(self, built: Built[Errors]) -> dict[str, Any]:
        return {"mean_absolute_error": built.figures.int8}

    def heading(self, built: Built[Errors]) -> list[str]:
        return [f"{built.name}: {built.model}, for {built.report.target}"]

    def quality(self, built: Built[Errors]) -> list[Line]:
        return [Table(["error", ""], [["int8", f"{built.figures.int8:.3f}"]], (1,)), ""]

    def page(self, built: Built[Errors]) -> dict[str, Any]:
        return {"summary": built.model, "headline": [(f"{built.figures.int8:.3f}", "mean absolute error")], "plots": []}


def numbers(run: Run, y: Array) -> Array:
    """float64 [n]: the labels as the numbers that they are."""
    return np.array([float(label) for label in run.found.labels])[y]


def linear(front: FrontEnd, x: Array, y: Array) -> Graph:
    """One int8 layer from features, int8 [n, ...], to numbers, float64 [n]."""
    quant = front.normalization.quant
    real = quant.scale[0] * (x.reshape(len(x), -1).astype(float) - quant.zero_point[0])
    *weights, bias = np.linalg.lstsq(np.c_[real, np.ones(len(x))], y, rcond=None)[0]
    w = per_tensor(float(np.abs(weights).max()) / 127, 0)
    b, out = per_tensor(w.scale[0] * quant.scale[0], 0), per_tensor((HIGH - LOW) / 255, round(-128 - LOW * 255 / (HIGH - LOW)))
    tensors = (
        Tensor("features", (1, *x.shape[1:]), "int8", quant),
        Tensor("weights", (1, len(weights)), "int8", w, np.rint(np.array([weights]) / w.scale[0]).astype(np.int8)),
        Tensor("bias", (1,), "int32", b, np.array([round(bias / b.scale[0])], np.int32)),
        Tensor("number", (1, 1), "int8", out),
    )
    how = attrs(activation="none", keep_num_dims=False)
    return Graph("least_squares", tensors, (Node("fully_connected", "fit", (0, 1, 2), (3,), how),), (0,), (3,))


TASK = StraightLine()
