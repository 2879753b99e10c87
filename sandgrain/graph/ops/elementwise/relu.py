"""max(x, 0), rescaled from the input's quantization to the output's."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.table.unary import UnaryOp, rescale, split_multiplier
from sandgrain.graph.quantization import Int64


def _evaluate(view: View, x: Int64) -> Array:
    pair = split_multiplier(view.input(0).scale / view.out.scale)
    return (rescale(x - view.input(0).zero_point, pair) + view.out.zero_point).clip(view.out.zero_point, view.out.dtype.high)


class Relu(UnaryOp):
    name = "relu"
    summary = "max(x, 0), rescaled to the output's quantization"
    fused_as = "relu"
    foreign = (Foreign("RELU", 19, version=2, int16=True),)
    evaluate = staticmethod(_evaluate)

    def passes_factors(self, view: View, channels: int) -> bool:
        return True

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = np.maximum(x, 0)
        return result
