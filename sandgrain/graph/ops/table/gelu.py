"""x * Phi(x), Phi the normal distribution (Hendrycks and Gimpel 2016), with the exact error function or tanh's approximation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.ops.table.smooth import Curve, Reals


def exact(x: Reals) -> Reals:
    """0.5 x (1 + erf(x / sqrt 2))."""
    return 0.5 * x * (1.0 + np.array([math.erf(v) for v in x.reshape(-1) / math.sqrt(2.0)]).reshape(x.shape))


def by_tanh(x: Reals) -> Reals:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): at most 5e-4 from `exact`."""
    near = np.clip(x, -1e3, 1e3)  # the cube must not overflow
    result: Reals = 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (near + 0.044715 * near**3)))
    return result


_POINTS = np.linspace(-8.0, 8.0, (1 << 14) + 1)
_SHARES = np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in _POINTS])  # the normal distribution


class Gelu(Curve):
    name = "gelu"
    summary = "x times the normal distribution's probability of less than x"
    attributes = kinds(approximate=bool)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = by_tanh(x) if options["approximate"] else exact(x)
        return result

    def draw_attrs(self, draw: Draw) -> Attrs:
        return attrs(approximate=draw.choice((True, False)))

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        """The exact one by interpolation between 2^14 points: 1e-7 from it, and quicker than an erf for each value."""
        if view.attrs["approximate"]:
            return super().real(view, inputs)
        share: Array = np.interp(inputs[0], _POINTS, _SHARES)
        return (np.asarray(inputs[0] * share, np.float32),)
