"""exp(x)."""

from __future__ import annotations

import numpy as np

from sandgrain.ir import Array, Attrs, View
from sandgrain.ops.curves import Curve, Reals, rounded
from sandgrain.ops.lut import lut_kernel
from sandgrain.quant import Int64


def exp(x: Reals) -> Reals:
    """Infinite where double precision ends."""
    with np.errstate(over="ignore"):
        result: Reals = np.exp(x)
    return result


def _evaluate(view: View, x: Int64) -> Array:
    return rounded(exp)(view, x)


class Exp(Curve):
    name = "exp"
    summary = "exp(x)"
    evaluate = staticmethod(_evaluate)
    kernels = (lut_kernel(_evaluate),)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = exp(x)
        return result
