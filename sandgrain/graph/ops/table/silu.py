"""x / (1 + exp(-x)), also called swish (Elfwing et al. 2017)."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs
from sandgrain.graph.ops.table.smooth import Curve, Reals


def silu(x: Reals) -> Reals:
    result: Reals = 0.5 * x * (1.0 + np.tanh(0.5 * x))
    return result


class Silu(Curve):
    name = "silu"
    summary = "x / (1 + exp(-x))"

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = silu(x)
        return result
