"""Absolute value, rescaled from the input's quantization to the output's."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.table.unary import UnaryOp, rescale, split_multiplier
from sandgrain.graph.quantization import Int64


def _evaluate(view: View, x: Int64) -> Array:
    pair = split_multiplier(view.input(0).scale / view.out.scale)
    return rescale(np.abs(x - view.input(0).zero_point), pair) + view.out.zero_point


class Abs(UnaryOp):
    name = "abs"
    summary = "absolute value"
    foreign = (Foreign("ABS", 101, 78, int16=True),)
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = np.abs(x)
        return result
