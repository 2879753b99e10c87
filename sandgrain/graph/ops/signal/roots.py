"""Integer logarithms and square roots as the board computes them: `kernels/signal/sg_log2.h` and `sg_isqrt.h`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt32 = npt.NDArray[np.uint32]

LOG2_BITS = 5  # the table has 2^5 intervals: linear interpolation errs by 1 / (8 ln 2 4^5) = 0.00018 at most
_STEPS = np.arange((1 << LOG2_BITS) + 1)
LOG2_TABLE = np.rint(65536 * (np.log2(1 + _STEPS / (1 << LOG2_BITS)) - _STEPS / (1 << LOG2_BITS))).astype(np.int64)


def log2_q16(v: npt.ArrayLike) -> Int32:
    """log2 of unsigned 64-bit integers in units of 2^-16, rounded down from an interpolated table.

    Within 0.00025, exact for powers of two; log2(0) is taken as 0.
    """
    value = np.maximum(np.asarray(v).astype(np.uint64), np.uint64(1))
    whole = bit_length(value) - 1
    # The 17 leading bits: the leading one and 16 of fraction, whatever follows is cut off.
    down, up = np.maximum(whole - 16, 0).astype(np.uint64), np.maximum(16 - whole, 0).astype(np.uint64)
    fraction = ((value >> down) << up).astype(np.int64) & 0xFFFF
    i, part = fraction >> (16 - LOG2_BITS), fraction & ((1 << (16 - LOG2_BITS)) - 1)
    step = LOG2_TABLE[i + 1] - LOG2_TABLE[i]
    half = 1 << (15 - LOG2_BITS)
    value_q16: Int64 = (whole << 16) + fraction + LOG2_TABLE[i] + ((step * part + half) >> (16 - LOG2_BITS))
    return value_q16.astype(np.int32)


def bit_length(v: npt.NDArray[np.uint64]) -> Int64:
    """Bits of unsigned 64-bit integers without leading zeros; 0 for 0."""
    length = np.zeros(v.shape, np.int64)
    rest = v.copy()
    for step in (32, 16, 8, 4, 2, 1):
        more = (rest >> np.uint64(step)) != 0
        length += np.where(more, step, 0)
        rest = np.where(more, rest >> np.uint64(step), rest)
    whole: Int64 = length + (rest != 0)
    return whole


def isqrt(v: npt.ArrayLike) -> UInt32:
    """floor(sqrt(v)) of unsigned 64-bit integers. The C is `sg_isqrt64`, and `sg_isqrt32` below 2^32."""
    value = np.asarray(v).astype(np.uint64)
    # A float root is at most one away; 2^32 is no 32-bit number.
    root = np.minimum(np.sqrt(value.astype(np.float64)), 2.0**32 - 1).astype(np.uint64)
    root = root - (root * root > value)
    return (root + (value - root * root > 2 * root)).astype(np.uint32)


def isqrt32(v: npt.ArrayLike) -> UInt32:
    """floor(sqrt(v)) of unsigned 32-bit integers."""
    return isqrt(v)


def isqrt64(v: npt.ArrayLike) -> UInt32:
    """floor(sqrt(v)) of unsigned 64-bit integers."""
    return isqrt(v)
