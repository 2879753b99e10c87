"""x * min(max(x + 3, 0), 6) / 6, in TFLM's 16-bit fixed point."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Draw, Foreign, need
from sandgrain.graph.ops.samples import draw_point
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import INT32_MAX, Int64, Quantization, per_tensor, quantize_multiplier

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
MAX_EXPONENT = 31  # TFLM shifts by up to this much


def _multiplier16(real: float) -> tuple[int, int]:
    """(15-bit multiplier, exponent) with real ~= multiplier * 2^(exponent - 15)."""
    multiplier, exponent = quantize_multiplier(real)
    rounded = INT16_MAX if multiplier >= INT32_MAX - 2**15 else (multiplier + 2**15) >> 16
    return rounded, exponent


def _high_mul(a: Int64, b: int) -> Int64:
    """round(a * b / 2^15) for 16-bit values, b >= 0: nothing saturates."""
    result: Int64 = (a * b + 2**14) >> 15
    return result


def _shift_left(a: Int64, amount: int) -> Int64:
    result: Int64 = np.clip(a << amount, INT16_MIN, INT16_MAX).astype(np.int64)
    return result


def _shift_right(a: Int64, amount: int) -> Int64:
    """a / 2^amount for 16-bit `a`, rounded, halves away from zero.

    Beyond 15 the 16-bit mask of TFLM's rounding has wrapped to all ones, and every value rounds away from zero.
    """
    if amount > 15:
        return np.where(a >= 0, np.int64(1), np.int64(-1))
    half = (1 << amount) >> 1
    result: Int64 = np.sign(a) * ((np.abs(a) + half) >> amount)
    return result


def _evaluate(view: View, x: Int64) -> Array:
    # As TFLM: the ratio to the output in double precision, the ratio to 3 (represented by 2^15) in single.
    hires = np.float32(1.0 / 128.0) * np.float32(view.input(0).scale)
    to_output, out_exponent = _multiplier16(float(hires) / view.out.scale)
    to_three, three_exponent = _multiplier16(float(hires / np.float32(3.0 / 32768.0)))
    need(out_exponent <= 0, "the output scale is below 1/128 of the input's; quantize the model again")
    need(three_exponent <= MAX_EXPONENT, "the input scale is far above 1; quantize the model again")
    high = (x - view.input(0).zero_point) << 7  # at most 255 * 128, so it fits 16 bits
    # The gate (x + 3) / 6: left shifts go around the multiply, so that only the last bit can saturate.
    gate = _shift_left(high, three_exponent - 1) if three_exponent > 0 else high
    gate = _high_mul(gate, to_three)
    gate = _shift_left(gate, 1) if three_exponent > 0 else _shift_right(gate, -three_exponent)
    gate = (gate + 2**15) >> 1
    product = gate * _high_mul(high, to_output)
    product = np.sign(product) * (np.abs(product) >> 15)  # towards zero, which cancels the bias of the roundings above
    return _shift_right(product, -out_exponent) + view.out.zero_point


class HardSwish(UnaryOp):
    name = "hard_swish"
    summary = "x * min(max(x + 3, 0), 6) / 6"
    foreign = (Foreign("HARD_SWISH", 117),)
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = x * np.clip(x + 3, 0, 6) / 6
        return result

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        # The output's scale must be more than the input's / 128; below it TFLM refuses.
        return per_tensor(x.scale[0] * draw.choice((1.0, draw.real(0.02, 1.0), draw.real(0.5, 20.0))), draw_point(draw))
