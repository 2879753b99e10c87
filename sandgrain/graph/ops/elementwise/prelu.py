"""x where x >= 0, alpha * x elsewhere, alpha a tensor that broadcasts; each side has its own multiplier to the output's scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Draw, Foreign
from sandgrain.graph.ops.elementwise.broadcast import Binary
from sandgrain.graph.ops.elementwise.mul import MAX_LEFT
from sandgrain.graph.ops.elementwise.rescale import need_multiplier
from sandgrain.graph.ops.samples import draw_point
from sandgrain.graph.ops.table.unary import MAX_LEFT_SHIFT
from sandgrain.graph.quantization import Quantization, per_tensor, quantize_multiplier, requantize


def ratios(view: View) -> tuple[float, float]:
    """From x to the output, and from alpha * x."""
    x, alpha, out = view.input(0).scale, view.input(1).scale, view.out.scale
    return x / out, x * alpha / out


class Prelu(Binary):
    name = "prelu"
    summary = "x where x >= 0, alpha * x elsewhere, one alpha per channel"
    foreign = (Foreign("PRELU", 54),)
    activates = False
    monotone = False

    def check(self, view: View) -> None:
        super().check(view)
        upper, lower = ratios(view)
        need_multiplier(upper, MAX_LEFT_SHIFT)
        need_multiplier(lower, MAX_LEFT)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        a, b = inputs
        assert a is not None and b is not None
        upper, lower = (quantize_multiplier(r) for r in ratios(view))
        x, alpha = a.astype(np.int64) - view.input(0).zero_point, b.astype(np.int64) - view.input(1).zero_point
        result = np.where(x >= 0, requantize(np.maximum(x, 0), *upper), requantize(np.minimum(x, 0) * alpha, *lower))
        return (view.out.dtype.saturated(result + view.out.zero_point),)

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        result: Array = np.where(a >= 0, a, b * a)
        return result

    def _draw_output(self, draw: Draw, a: Quantization, b: Quantization) -> Quantization:
        return per_tensor(draw.real(0.3, 3.0) * a.scale[0] * max(1.0, 100 * b.scale[0]), draw_point(draw))
