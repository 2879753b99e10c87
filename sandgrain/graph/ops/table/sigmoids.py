"""What logistic and tanh share: the input in fixed point with 4 integer bits, and where the function has saturated."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.graph.ir import Array, Tensor
from sandgrain.graph.ops.base import need
from sandgrain.graph.quantization import Int32, Int64, quantize_multiplier, requantize

INPUT_BITS = 4  # integer bits: the functions are computed for |x| < 15, and saturated beyond


def input_in_q4(tensor: Tensor, x: Int64) -> tuple[Int32, Array, Array]:
    """(fixed-point input, saturated below, saturated above) for int8 values `x` of `tensor`."""
    real = tensor.scale * 2.0 ** (31 - INPUT_BITS)
    need(1.0 <= real < 2.0**62, f"input scale {tensor.scale} is not a sensible one; quantize the model again")
    multiplier, shift = quantize_multiplier(real)
    radius = math.floor((2**INPUT_BITS - 1) * 2.0 ** (31 - INPUT_BITS) / 2.0**shift)
    centred = x - tensor.zero_point
    low, high = centred <= -radius, centred >= radius
    inside = np.where(low | high, 0, centred)  # |inside| * 2^shift < 15 * 2^27: the left shift cannot overflow
    return requantize(inside, multiplier, min(shift, 31)), low, high
