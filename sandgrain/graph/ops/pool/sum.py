"""Sum over any axes: a mean whose rescaling does not divide."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Draw, Foreign
from sandgrain.graph.ops.pool.mean import Mean
from sandgrain.graph.ops.pool.reduction import OPTIONS
from sandgrain.graph.ops.samples import draw_point
from sandgrain.graph.quantization import Quantization, per_tensor, quantize_multiplier


class Sum(Mean):
    name = "sum"
    summary = "sum over constant axes"
    stays_within = False
    foreign = (Foreign("SUM", 74, 27, OPTIONS, int16=True),)

    @staticmethod
    def rescale(view: View) -> tuple[int, int]:
        return quantize_multiplier(view.input(0).scale / view.out.scale)

    @staticmethod
    def folded(x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.sum(axis=axes), np.float32)

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        return draw.choice((x, per_tensor(x.scale[0] * draw.real(0.5, 30.0), draw_point(draw))))
