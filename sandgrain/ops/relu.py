"""max(x, 0), rescaled from the input's quantization to the output's."""

from __future__ import annotations

from sandgrain.ir import Array, View
from sandgrain.ops.base import Foreign
from sandgrain.ops.lut import UnaryOp, rescale, split_multiplier
from sandgrain.quant import INT8_MAX, Int64


def _evaluate(view: View, x: Int64) -> Array:
    pair = split_multiplier(view.input(0).scale / view.out.scale)
    return (rescale(x - view.input(0).zero_point, pair) + view.out.zero_point).clip(view.out.zero_point, INT8_MAX)


class Relu(UnaryOp):
    name = "relu"
    summary = "max(x, 0), rescaled to the output's quantization"
    foreign = (Foreign("RELU", 19, version=2),)
    evaluate = staticmethod(_evaluate)
