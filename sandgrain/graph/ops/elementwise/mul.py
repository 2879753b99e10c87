"""Element-wise product with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Foreign, Option
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.broadcast import Binary
from sandgrain.graph.ops.elementwise.rescale import need_multiplier
from sandgrain.graph.ops.samples import draw_point
from sandgrain.graph.quantization import Quantization, per_tensor, quantize_multiplier, requantize

MAX_LEFT = 14  # 255 * 255 * 2^14 * 2 fits 32 bits


def ratio(view: View) -> float:
    """From a product of two levels to the output's levels."""
    return view.input(0).scale * view.input(1).scale / view.out.scale


class Mul(Binary):
    name = "mul"
    summary = "element-wise product with broadcasting and a fused activation"
    attributes = kinds(activation=str)
    foreign = (Foreign("MUL", 18, 21, (Option(win.ACTIVATION_OPTION, 0, "i8"),), version=2, int16=True),)

    def check(self, view: View) -> None:
        super().check(view)
        need_multiplier(ratio(view), MAX_LEFT)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        a, b = inputs
        assert a is not None and b is not None
        product = (a.astype(np.int64) - view.input(0).zero_point) * (b.astype(np.int64) - view.input(1).zero_point)
        result = requantize(product, *quantize_multiplier(ratio(view))) + view.out.zero_point
        return (np.clip(result, *clamp_of(view)).astype(view.out.dtype.numpy),)

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        result: Array = a * b
        return result

    def _draw_output(self, draw: Draw, a: Quantization, b: Quantization) -> Quantization:
        return per_tensor(draw.choice((0.01, 1.0, 50.0, 200.0)) * draw.real(0.3, 2.0) * a.scale[0] * b.scale[0], draw_point(draw))
