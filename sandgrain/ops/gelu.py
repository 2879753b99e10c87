"""x * Phi(x), Phi the normal distribution (Hendrycks and Gimpel 2016), with the exact error function or tanh's approximation."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.ir import Array, Attrs, View, attrs
from sandgrain.ops.base import Draw
from sandgrain.ops.curves import Curve, Reals, rounded
from sandgrain.quant import Int64


def exact(x: Reals) -> Reals:
    """0.5 x (1 + erf(x / sqrt 2))."""
    return 0.5 * x * (1.0 + np.array([math.erf(v) for v in x.reshape(-1) / math.sqrt(2.0)]).reshape(x.shape))


def by_tanh(x: Reals) -> Reals:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): at most 5e-4 from `exact`."""
    near = np.clip(x, -1e3, 1e3)  # the cube must not overflow
    result: Reals = 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (near + 0.044715 * near**3)))
    return result


def _evaluate(view: View, x: Int64) -> Array:
    return rounded(by_tanh if view.attrs["approximate"] else exact)(view, x)


class Gelu(Curve):
    name = "gelu"
    summary = "x times the normal distribution's probability of less than x"
    evaluate = staticmethod(_evaluate)

    def draw_attrs(self, draw: Draw) -> Attrs:
        return attrs(approximate=draw.choice((True, False)))
