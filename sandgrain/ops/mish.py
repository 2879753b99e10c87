"""x tanh(log(1 + exp(x))) (Misra 2019)."""

from __future__ import annotations

import numpy as np

from sandgrain.ir import Array, Attrs, View
from sandgrain.ops.curves import Curve, Reals, rounded
from sandgrain.ops.lut import lut_kernel
from sandgrain.ops.softplus import softplus
from sandgrain.quant import Int64


def mish(x: Reals) -> Reals:
    result: Reals = x * np.tanh(softplus(x))
    return result


def _evaluate(view: View, x: Int64) -> Array:
    return rounded(mish)(view, x)


class Mish(Curve):
    name = "mish"
    summary = "x tanh(log(1 + exp(x)))"
    evaluate = staticmethod(_evaluate)
    kernels = (lut_kernel(_evaluate),)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = mish(x)
        return result
