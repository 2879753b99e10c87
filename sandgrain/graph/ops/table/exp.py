"""exp(x)."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs
from sandgrain.graph.ops.table.smooth import Curve, Reals


def exp(x: Reals) -> Reals:
    """Infinite where double precision ends."""
    with np.errstate(over="ignore"):
        result: Reals = np.exp(x)
    return result


class Exp(Curve):
    name = "exp"
    summary = "exp(x)"

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = exp(x)
        return result
