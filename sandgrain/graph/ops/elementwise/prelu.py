"""x where x >= 0, alpha * x elsewhere, alpha a tensor that broadcasts; each side has its own multiplier to the output's scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, Draw, Foreign, In, Kernel, Out
from sandgrain.graph.ops.elementwise.broadcast import Binary, loop_fields, unrepeated
from sandgrain.graph.ops.elementwise.mul import MAX_LEFT
from sandgrain.graph.ops.elementwise.rescale import need_multiplier, rounding
from sandgrain.graph.ops.table.unary import MAX_LEFT_SHIFT
from sandgrain.graph.quantization import Quantization, per_tensor, quantize_multiplier, requantize


def _ratios(view: View) -> tuple[float, float]:
    """From x to the output, and from alpha * x."""
    x, alpha, out = view.input(0).scale, view.input(1).scale, view.out.scale
    return x / out, x * alpha / out


def _side(name: str, real: float) -> dict[str, int]:
    """The kernel's members that rescale one side."""
    multiplier, shift = quantize_multiplier(real)
    right, half, sign = rounding(min(shift, 0))
    return {
        f"{name}_left": max(shift, 0) + 1, f"{name}_multiplier": multiplier, f"{name}_shift": right,
        f"{name}_half": half, f"{name}_sign": sign,
    }  # fmt: skip


def _lower(view: View) -> tuple[Call, ...]:
    upper, lower = _ratios(view)
    fields: dict[str, int | float | tuple[int, ...] | Array] = {
        **loop_fields(view.input(0), view.input(1)), **_side("upper", upper), **_side("lower", lower),
        "a_zero_point": view.input(0).zero_point, "b_zero_point": view.input(1).zero_point,
        "out_zero_point": view.out.zero_point,
    }  # fmt: skip
    return (Call("portable/prelu_s8.h", fields, (In(0), In(1), Out(0))),)


class Prelu(Binary):
    name = "prelu"
    summary = "x where x >= 0, alpha * x elsewhere, alpha one a channel"
    foreign = (Foreign("PRELU", 54),)
    kernels = (Kernel("prelu_s8", _lower, in_place=unrepeated),)
    activates = False
    monotone = False

    def check(self, view: View) -> None:
        super().check(view)
        upper, lower = _ratios(view)
        need_multiplier(upper, MAX_LEFT_SHIFT)
        need_multiplier(lower, MAX_LEFT)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        a, b = inputs
        assert a is not None and b is not None
        upper, lower = (quantize_multiplier(r) for r in _ratios(view))
        x, alpha = a.astype(np.int64) - view.input(0).zero_point, b.astype(np.int64) - view.input(1).zero_point
        result = np.where(x >= 0, requantize(np.maximum(x, 0), *upper), requantize(np.minimum(x, 0) * alpha, *lower))
        return (view.out.dtype.saturated(result + view.out.zero_point),)

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        result: Array = np.where(a >= 0, a, b * a)
        return result

    def _draw_output(self, draw: Draw, a: Quantization, b: Quantization) -> Quantization:
        return per_tensor(draw.real(0.3, 3.0) * a.scale[0] * max(1.0, 100 * b.scale[0]), draw.integer(-128, 127))
