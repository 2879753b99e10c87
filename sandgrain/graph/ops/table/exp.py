"""exp(x)."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.table.smooth import Curve, Reals, rounded
from sandgrain.graph.quantization import Int64


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

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = exp(x)
        return result
