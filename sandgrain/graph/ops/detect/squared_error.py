"""How far an autoencoder's output is from its input: the sum of squared differences of two int8 tensors, as one int32.

difference = M_a (q_a - z_a) - M_b (q_b - z_b). Equal scales have M = 1; otherwise the larger scale has M = 2^14 and the other
its share of that, rounded. The sum, 64 bits wide, is divided by the least power of two with which it fits int32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Draw, Shape, need, need_dtype, need_inputs, need_quantized
from sandgrain.graph.ops.detect.base import DetectOp
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_point, draw_quant, one_op
from sandgrain.graph.quantization import INT32_MAX, Quantization

SHARE_BITS = 14
MAX_SIZE = 1 << 15  # differences < 2^24, so the sum stays below 2^63


def multipliers(a: Tensor, b: Tensor) -> tuple[int, int]:
    if a.scale == b.scale:
        return 1, 1
    top = max(a.scale, b.scale)
    return round(a.scale / top * 2**SHARE_BITS), round(b.scale / top * 2**SHARE_BITS)


def shift_of(a: Tensor, b: Tensor) -> int:
    """So much that the largest sum fits int32, rounding included."""
    m, n = multipliers(a, b)
    spans = [
        abs(m * (p - a.zero_point) - n * (q - b.zero_point))
        for p in (a.dtype.low, a.dtype.high)
        for q in (b.dtype.low, b.dtype.high)
    ]
    bound = max(spans) ** 2 * a.size
    return next(s for s in range(64) if (bound + (1 << s) // 2) >> s <= INT32_MAX)


def unit(a: Tensor, b: Tensor) -> float:
    """Real squared error that one count of the score stands for."""
    scale = a.scale if a.scale == b.scale else max(a.scale, b.scale) / 2**SHARE_BITS
    return float(scale * scale * 2.0 ** shift_of(a, b))


class SquaredError(DetectOp):
    name = "squared_error"
    summary = "sum of squared differences of two int8 tensors, as one int32"

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 2)
        a, b = inputs[0], inputs[1]
        assert a is not None and b is not None
        if a.size != b.size:
            raise ModelError(f"compares {list(a.shape)} with {list(b.shape)}; an autoencoder's output is as large as its input")
        return ((1,),)

    def check(self, view: View) -> None:
        need_quantized(view.input(0), view.input(1))
        need_dtype(view.out, "int32")
        need(view.input(0).size <= MAX_SIZE, f"{view.input(0).size} values; up to {MAX_SIZE} can be compared")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        a, b = view.input(0), view.input(1)
        assert inputs[0] is not None and inputs[1] is not None
        (m, n), shift = multipliers(a, b), shift_of(a, b)
        left, right = (x.astype(np.int64).reshape(-1) for x in inputs if x is not None)
        difference = m * (left - a.zero_point) - n * (right - b.zero_point)
        total = int((difference * difference).sum())
        return (np.array([(total + ((1 << shift) >> 1)) >> shift], np.int32),)

    def macs(self, view: View) -> int:
        return view.input(0).size

    def sample(self, draw: Draw) -> Graph:
        shape = tuple(draw.choice(SIZES) for _ in range(draw.integer(1, 3)))
        first = draw_quant(draw)
        second = draw.choice((first, Quantization(first.scale, (draw_point(draw),)), draw_quant(draw)))
        x = (activation_tensor("x", shape, first), activation_tensor("z", shape, second))
        return one_op(self.name, x, (Tensor("y", (1,), "int32"),), attrs())
