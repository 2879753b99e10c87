"""tanh(x): the output's quantization is fixed, scale 1/128 and zero point 0."""

from __future__ import annotations

import numpy as np

from sandgrain.graph import fixedpoint
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Draw, Foreign, need
from sandgrain.graph.ops.table.sigmoids import INPUT_BITS, input_in_q4
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import Int64, Quantization, fixed_text, per_tensor, rounding_shift

OUTPUT = per_tensor(2 / ACTIVATION.levels, 0)


def _evaluate(view: View, x: Int64) -> Array:
    raw, low, high = input_in_q4(view.input(0), x)
    values = rounding_shift(fixedpoint.tanh(raw, INPUT_BITS), 31 - 7)
    return np.where(low, view.out.dtype.low, np.where(high, view.out.dtype.high, values))


class Tanh(UnaryOp):
    name = "tanh"
    summary = "tanh(x)"
    fixed_output = OUTPUT
    foreign = (Foreign("TANH", 28, version=2, int16=True),)
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = np.tanh(x)
        return result

    def check(self, view: View) -> None:
        super().check(view)
        need(view.out.quant == OUTPUT, f"output not quantized with {fixed_text(OUTPUT)}; quantize the model again")

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        return OUTPUT
