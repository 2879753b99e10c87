"""Scales, zero points and the one rounding rule.

The rule is TensorFlow Lite Micro's: a saturating rounding doubling high multiply, then a rounding right shift (two
roundings). It is written here in numpy and in `kernels/shared/sg_math.h` in C, and nowhere else. Formulas follow
gemmlowp's fixed-point definitions and B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import ACTIVATION, DType

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

# Fused activations are clamps: the least and the greatest real value that each lets through.
Bounds = tuple[float | None, float | None]  # None: unbounded
ACTIVATIONS: dict[str, Bounds] = {"none": (None, None), "relu": (0.0, None), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantization: real = scale * (integer - zero_point).

    `scale` holds float32 values as Python floats, one, or one per index of dimension `axis`. `zero_point` is as long
    as `scale`. `axis` is None when there is one scale.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    @property
    def per_tensor(self) -> bool:
        return len(self.scale) == 1


def per_tensor(scale: float, zero_point: int) -> Quantization:
    """One scale, rounded to float32 as a model file would hold it, and one zero point."""
    return Quantization((float(np.float32(scale)),), (zero_point,))


# What logistic and softmax give: every value stands for a probability.
PROBABILITIES = per_tensor(1 / ACTIVATION.levels, ACTIVATION.low)


def fixed_text(q: Quantization) -> str:
    """`q`, of a scale that is one over a whole number, as messages say it: "scale 1/256 and zero point -128"."""
    return f"scale 1/{round(1 / q.scale[0])} and zero point {q.zero_point[0]}"


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split `real` >= 0 into (multiplier, shift): real ~= multiplier * 2^(shift - 31), 2^30 <= multiplier < 2^31.

    Values below 2^-32 become (0, 0), as in TensorFlow Lite's QuantizeMultiplier. `shift` > 0 shifts left.
    """
    if real == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    multiplier = _round_half_away(mantissa * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def _round_half_away(value: float) -> int:
    return int(math.floor(value + 0.5)) if value >= 0 else -int(math.floor(-value + 0.5))


def wrap_int32(value: npt.ArrayLike) -> Int32:
    """The low 32 bits of int64 `value`, read as two's complement: what C's uint32_t arithmetic gives."""
    return np.asarray(value, np.int64).astype(np.uint32).astype(np.int32)


def high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Int32:
    """Saturating rounding doubling high multiply of int32 values: round(a * b / 2^31), halves up.

    floor((a*b + 2^30) / 2^31) equals gemmlowp's sign-dependent nudge and truncating division for every pair but
    (-2^31, -2^31), which saturates to 2^31 - 1.
    """
    a64, b64 = np.asarray(a, np.int64), np.asarray(b, np.int64)
    product = (a64 * b64 + (1 << 30)) >> 31
    result: Int32 = np.minimum(product, INT32_MAX).astype(np.int32)
    return result


def rounding_shift(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Int32:
    """x / 2^exponent for int32 `x`, 0 <= exponent <= 31, rounded to nearest, halves away from zero."""
    x64, e = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << e) - 1
    threshold = (mask >> 1) + (x64 < 0)
    return ((x64 >> e) + ((x64 & mask) > threshold)).astype(np.int32)


def requantize(acc: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Int32:
    """acc * multiplier * 2^(shift - 31) by the house rule; arrays broadcast; int32 in, int32 out.

    A left shift wraps modulo 2^32, as the C does.
    """
    left = np.maximum(np.asarray(shift, np.int64), 0)
    right = np.maximum(-np.asarray(shift, np.int64), 0)
    return rounding_shift(high_mul(wrap_int32(np.asarray(acc, np.int64) << left), multiplier), right)


def quantize(real: npt.ArrayLike, q: Quantization, dtype: DType) -> Array:
    """float32 `real` to integers of `dtype`: round half away from zero, then saturate; per-tensor `q` only."""
    with np.errstate(over="ignore"):
        scaled = np.asarray(real, np.float32) / np.float32(q.scale[0])
    # Adding 0.5 would round the largest float below it up; the fraction of a float is exact. NaN becomes the zero point.
    whole = np.trunc(np.nan_to_num(scaled, nan=0.0, posinf=1e9, neginf=-1e9))
    fraction = np.nan_to_num(scaled - whole, nan=0.0, posinf=0.0, neginf=0.0)
    shifted = whole + (fraction >= 0.5) - (fraction <= -0.5) + q.zero_point[0]
    return dtype.saturated(shifted)


def dequantize(values: npt.ArrayLike, q: Quantization) -> npt.NDArray[np.float32]:
    """Integer `values` to float32; per-tensor `q` only."""
    centred = np.asarray(values, np.int64) - q.zero_point[0]
    return (centred.astype(np.float32) * np.float32(q.scale[0])).astype(np.float32)


def activation_range(activation: str, q: Quantization, dtype: DType) -> tuple[int, int]:
    """The clamp of a fused activation (a key of ACTIVATIONS) on an output of `dtype` that is quantized by `q`."""
    low, high = ACTIVATIONS[activation]

    def level(real: float) -> int:
        scaled = np.float32(real) / np.float32(q.scale[0])
        return q.zero_point[0] + _round_half_away(float(scaled))

    lowest = dtype.low if low is None else max(dtype.low, level(low))
    highest = dtype.high if high is None else min(dtype.high, level(high))
    return lowest, highest
