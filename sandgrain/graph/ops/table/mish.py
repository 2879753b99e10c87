"""x tanh(log(1 + exp(x))) (Misra 2019)."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs
from sandgrain.graph.ops.table.smooth import Curve, Reals
from sandgrain.graph.ops.table.softplus import softplus


def mish(x: Reals) -> Reals:
    result: Reals = x * np.tanh(softplus(x))
    return result


class Mish(Curve):
    name = "mish"
    summary = "x tanh(log(1 + exp(x)))"

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = mish(x)
        return result
