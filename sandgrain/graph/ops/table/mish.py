"""x tanh(log(1 + exp(x))) (Misra 2019)."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.table.smooth import Curve, Reals, rounded
from sandgrain.graph.ops.table.softplus import softplus
from sandgrain.graph.quantization import Int64


def mish(x: Reals) -> Reals:
    result: Reals = x * np.tanh(softplus(x))
    return result


def _evaluate(view: View, x: Int64) -> Array:
    return rounded(mish)(view, x)


class Mish(Curve):
    name = "mish"
    summary = "x tanh(log(1 + exp(x)))"
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = mish(x)
        return result
