"""scale * x where x >= 0, else scale * alpha * (exp(input_scale * x) - 1): ELUs that are not TensorFlow Lite's, with an alpha of
their own (Clevert et al. 2015), SELU (Klambauer et al. 2017) and CELU (Barron 2017), in PyTorch's terms."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, need
from sandgrain.graph.ops.table.smooth import Curve, Reals

SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805, "input_scale": 1.0}  # fixed point: mean 0, variance 1


def scaled_elu(x: Reals, options: Attrs) -> Reals:
    """`options`: alpha, scale, input_scale."""
    with np.errstate(over="ignore", invalid="ignore"):
        below = options["alpha"] * np.expm1(options["input_scale"] * np.minimum(x, 0.0))
        result: Reals = options["scale"] * np.where(x < 0, below, x)
    return result


class ScaledElu(Curve):
    name = "scaled_elu"
    summary = "ELU with alpha, SELU, CELU"
    attributes = kinds(alpha=float, input_scale=float, scale=float)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = scaled_elu(x, options)
        return result

    def check(self, view: View) -> None:
        a = view.attrs
        finite = all(math.isfinite(a[name]) for name in SELU)
        need(finite and a["input_scale"] >= 0, "an ELU whose numbers are not finite, or that grows below 0; use positive ones")
        super().check(view)

    def draw_attrs(self, draw: Draw) -> Attrs:
        own = {"alpha": draw.real(-1.0, 2.0), "scale": draw.real(0.3, 2.0), "input_scale": draw.real(0.1, 3.0)}
        return attrs(**draw.choice((SELU, own)))
