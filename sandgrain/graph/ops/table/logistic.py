"""1 / (1 + exp(-x)): the output's quantization is fixed, scale 1/256 and zero point -128."""

from __future__ import annotations

import numpy as np

from sandgrain.graph import fixedpoint
from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Draw, Foreign, need
from sandgrain.graph.ops.real_math import sigmoid
from sandgrain.graph.ops.table.sigmoids import INPUT_BITS, input_in_q4
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import Int64, Quantization, per_tensor, rounding_shift

OUTPUT = per_tensor(1 / 256, -128)


def _evaluate(view: View, x: Int64) -> Array:
    raw, low, high = input_in_q4(view.input(0), x)
    values = rounding_shift(fixedpoint.logistic(raw, INPUT_BITS), 31 - 8).astype(np.int64) - 128
    return np.where(low, -128, np.where(high, 127, values))


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
        need(view.out.quant == OUTPUT, "output not quantized with scale 1/256 and zero point -128; quantize the model again")

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        return OUTPUT
