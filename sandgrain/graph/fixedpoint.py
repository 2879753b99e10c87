"""Fixed-point exp, reciprocal, logistic and tanh on int32 raw values, bit for bit as TensorFlow Lite Micro computes them.

A raw value r with `bits` integer bits stands for r / 2^(31 - bits) (gemmlowp's Q format: sign bit, `bits`, fraction).
Results have 0 integer bits: r / 2^31. All functions take and give numpy int32 arrays (or what converts to them).
The polynomial, the Newton iteration and their constants are gemmlowp's (fixedpoint.h).
The C that softmax needs of this is kernels/norm/sg_fixedpoint.h.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sandgrain.graph.quantization import INT32_MAX, INT32_MIN, Int32, high_mul, rounding_shift, wrap_int32

ONE = INT32_MAX  # 1.0 with 0 integer bits, saturated

# exp(-2^k) as raw values with 0 integer bits, k = -2 .. 4.
_EXP_STEPS = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242))
_EXP_NEGATIVE_EIGHTH = 1895147668
_ONE_THIRD = 715827883
_48_OVER_17, _NEG_32_OVER_17 = 1515870810, -1010580540  # 2 integer bits
_ONE_Q2 = 1 << 29


def _left_shift(x: npt.ArrayLike, exponent: int) -> Int32:
    """x * 2^exponent, saturated."""
    wide: npt.NDArray[np.int64] = np.asarray(x, np.int64) << exponent
    return np.asarray(np.clip(wide, INT32_MIN, INT32_MAX), np.int32)


def _sub(a: npt.ArrayLike, b: npt.ArrayLike) -> Int32:
    return wrap_int32(np.asarray(a, np.int64) - np.asarray(b, np.int64))


def _add(a: npt.ArrayLike, b: npt.ArrayLike) -> Int32:
    return wrap_int32(np.asarray(a, np.int64) + np.asarray(b, np.int64))


def _exp_last_quarter(a: Int32) -> Int32:
    """exp(a) for a in [-1/4, 0), 0 integer bits: a Taylor polynomial around -1/8."""
    x = _add(a, 1 << 28)
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    tail = rounding_shift(_add(high_mul(_add(rounding_shift(x4, 2), x3), _ONE_THIRD), x2), 1)
    return _add(high_mul(_EXP_NEGATIVE_EIGHTH, _add(x, tail)), _EXP_NEGATIVE_EIGHTH)


def exp_on_negative_values(a: npt.ArrayLike, bits: int) -> Int32:
    """exp(a) for a <= 0 with `bits` integer bits (2 to 6); 0 integer bits out, exp(0) saturates to 2^31 - 1."""
    raw = np.asarray(a, np.int32)
    fraction = 31 - bits
    quarter = 1 << (fraction - 2)
    last = _sub(raw & (quarter - 1), quarter)
    result = _exp_last_quarter(_left_shift(last, bits))
    remainder = _sub(last, raw)
    for exponent, factor in _EXP_STEPS:
        if bits > exponent:
            result = np.where(remainder & (1 << (fraction + exponent)), high_mul(result, factor), result).astype(np.int32)
    if bits > 5:
        result = np.where(raw < -(1 << (36 - bits)), 0, result).astype(np.int32)
    return np.where(raw == 0, ONE, result).astype(np.int32)


def _newton(a: npt.ArrayLike) -> Int32:
    """2 / (1 + a) for a in [0, 1] with 0 integer bits; 2 integer bits out."""
    half = ((np.asarray(a, np.int64) + ONE + 1) >> 1).astype(np.int32)  # rounded (a + 1) / 2, never negative
    x = _add(_48_OVER_17, high_mul(half, _NEG_32_OVER_17))
    for _ in range(3):
        error = _sub(_ONE_Q2, high_mul(half, x))
        x = _add(x, _left_shift(high_mul(x, error), 2))
    return x


def one_over_one_plus_x(a: npt.ArrayLike) -> Int32:
    """1 / (1 + a) for a in [0, 1], 0 integer bits in and out."""
    return _left_shift(_newton(a), 1)


def one_minus_x_over_one_plus_x(a: npt.ArrayLike) -> Int32:
    """(1 - a) / (1 + a) for a in [0, 1], 0 integer bits in and out."""
    return _left_shift(_sub(_newton(a), _ONE_Q2), 2)


def logistic(a: npt.ArrayLike, bits: int) -> Int32:
    """1 / (1 + exp(-a)) for `a` with `bits` integer bits; 0 integer bits out."""
    raw = np.asarray(a, np.int32)
    positive = one_over_one_plus_x(exp_on_negative_values(np.where(raw > 0, _sub(0, raw), raw), bits))
    signed = np.where(raw > 0, positive, _sub(ONE, positive))
    return np.where(raw == 0, 1 << 30, signed).astype(np.int32)


def tanh(a: npt.ArrayLike, bits: int) -> Int32:
    """tanh(a) for `a` with `bits` integer bits; 0 integer bits out."""
    raw = np.asarray(a, np.int32)
    # Reading the same raw value with one more integer bit doubles it: tanh(a) = (1 - exp(-2a)) / (1 + exp(-2a)).
    positive = one_minus_x_over_one_plus_x(exp_on_negative_values(np.where(raw > 0, _sub(0, raw), raw), bits + 1))
    signed = np.where(raw > 0, positive, _sub(0, positive))
    return np.where(raw == 0, 0, signed).astype(np.int32)


def reciprocal(x: npt.ArrayLike, bits: int) -> tuple[Int32, Int32]:
    """(r, n) with 1 / x ~= r / 2^(31 + n) for x >= 1 raw with `bits` integer bits; r has 0 integer bits."""
    raw = np.asarray(x, np.int64)
    headroom = 32 - np.frexp(raw.astype(np.float64))[1]  # leading zeros of a 32-bit word; exact below 2^53
    return one_over_one_plus_x((raw << headroom) - (1 << 31)), (bits - headroom).astype(np.int32)
