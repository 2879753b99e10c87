"""log(1 + exp(x)), a smooth relu."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs
from sandgrain.graph.ops.table.smooth import Curve, Reals


def softplus(x: Reals) -> Reals:
    result: Reals = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    return result


class Softplus(Curve):
    name = "softplus"
    summary = "log(1 + exp(x))"

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = softplus(x)
        return result
