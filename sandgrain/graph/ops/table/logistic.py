"""1 / (1 + exp(-x)): the output's quantization is fixed, scale 1/256 and zero point -128."""

from __future__ import annotations

import numpy as np

from sandgrain.graph import fixedpoint
from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Draw, Foreign, need
from sandgrain.graph.ops.real_math import sigmoid
from sandgrain.graph.ops.table.sigmoids import INPUT_BITS, input_in_q4
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import PROBABILITIES, Int64, Quantization, fixed_text, rounding_shift

OUTPUT = PROBABILITIES


def _evaluate(view: View, x: Int64) -> Array:
    raw, low, high = input_in_q4(view.input(0), x)
    values = rounding_shift(fixedpoint.logistic(raw, INPUT_BITS), 31 - 8).astype(np.int64) + view.out.zero_point
    return np.where(low, view.out.dtype.low, np.where(high, view.out.dtype.high, values))


class Logistic(UnaryOp):
    name = "logistic"
    summary = "1 / (1 + exp(-x))"
    fixed_output = OUTPUT
    foreign = (Foreign("LOGISTIC", 14, version=2, int16=True),)
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = sigmoid(x)
        return result

    def check(self, view: View) -> None:
        super().check(view)
        need(view.out.quant == OUTPUT, f"output not quantized with {fixed_text(OUTPUT)}; quantize the model again")

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        return OUTPUT
