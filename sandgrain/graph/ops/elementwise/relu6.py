"""min(max(x, 0), 6) on the input's quantization.

TFLM's int8 kernel clamps and never rescales: the output's quantization plays no part in the bytes.
"""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.ops.traits import FIRST_INPUT
from sandgrain.graph.quantization import Int64, activation_range


def limits(view: View) -> tuple[int, int]:
    """The lowest and the highest output."""
    x = view.input(0)
    assert x.quant is not None
    return activation_range("relu6", x.quant, x.dtype)


def _evaluate(view: View, x: Int64) -> Array:
    return np.clip(x, *limits(view))


class Relu6(UnaryOp):
    name = "relu6"
    summary = "min(max(x, 0), 6), without rescaling"
    same_scale_inputs = FIRST_INPUT
    fused_as = "relu6"
    foreign = (Foreign("RELU6", 21, version=2, int16=True),)
    evaluate = staticmethod(_evaluate)
    only_clamps = True

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = np.clip(x, 0, 6)
        return result
