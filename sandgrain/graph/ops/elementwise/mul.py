"""Element-wise product with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, Draw, Foreign, In, Kernel, Option, Out
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.broadcast import Binary, loop_fields, unrepeated
from sandgrain.graph.ops.elementwise.rescale import need_multiplier, rounding
from sandgrain.graph.ops.elementwise_dsp import mul_dsp
from sandgrain.graph.quantization import Quantization, per_tensor, quantize_multiplier, requantize

MAX_LEFT = 14  # 255 * 255 * 2^14 * 2 fits 32 bits


def _ratio(view: View) -> float:
    return view.input(0).scale * view.input(1).scale / view.out.scale


def _lower(view: View) -> tuple[Call, ...]:
    multiplier, shift = quantize_multiplier(_ratio(view))
    low, high = clamp_of(view)
    right, half, sign = rounding(min(shift, 0), low - view.out.zero_point)
    fields: dict[str, int | float | tuple[int, ...] | Array] = {
        **loop_fields(view.input(0), view.input(1)),
        "a_zero_point": view.input(0).zero_point, "b_zero_point": view.input(1).zero_point,
        "left": max(shift, 0) + 1, "multiplier": multiplier, "shift": right, "half": half, "sign": sign,
        "out_zero_point": view.out.zero_point, "low": low, "high": high,
    }  # fmt: skip
    return (Call("portable/mul_s8.h", fields, (In(0), In(1), Out(0))),)


class Mul(Binary):
    name = "mul"
    summary = "element-wise product with broadcasting and a fused activation"
    foreign = (Foreign("MUL", 18, 21, (Option(win.ACTIVATION_OPTION, 0, "i8"),), version=2, int16=True),)
    kernels = (
        mul_dsp(_ratio),
        Kernel("mul_s8", _lower, in_place=unrepeated),
    )

    def check(self, view: View) -> None:
        super().check(view)
        need_multiplier(_ratio(view), MAX_LEFT)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        a, b = inputs
        assert a is not None and b is not None
        product = (a.astype(np.int64) - view.input(0).zero_point) * (b.astype(np.int64) - view.input(1).zero_point)
        result = requantize(product, *quantize_multiplier(_ratio(view))) + view.out.zero_point
        return (np.clip(result, *clamp_of(view)).astype(view.out.dtype.numpy),)

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        result: Array = a * b
        return result

    def _draw_output(self, draw: Draw, a: Quantization, b: Quantization) -> Quantization:
        return per_tensor(
            draw.choice((0.01, 1.0, 50.0, 200.0)) * draw.real(0.3, 2.0) * a.scale[0] * b.scale[0], draw.integer(-128, 127)
        )
