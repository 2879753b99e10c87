"""The magnitude of a complex number in 32-bit integers: `kernels/signal/sg_magnitude.h`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ops.signal.roots import bit_length

Int64 = npt.NDArray[np.int64]

BITS = 15  # of the larger part that take part
_STEP = 24  # log2 of the distance of the table's lines
ROOTS = np.rint(np.sqrt(np.arange(16, 130) * 2.0**_STEP)).astype(np.int64)


def magnitude_s32(re: npt.ArrayLike, im: npt.ArrayLike) -> Int64:
    """sqrt(re^2 + im^2) of int32 arrays, right to 1 in 8,000 where the larger part has 15 bits; below 2^31.5.

    Parts are shifted so that the larger one has 15 bits; the root of their squares, 2^28 to 2^31, is read from a table with
    linear interpolation, which errs by (1/16)^2 / 32 at most.
    """
    a, b = np.asarray(re, np.int64), np.asarray(im, np.int64)
    width = bit_length(((a ^ (a >> 31)) | (b ^ (b >> 31))).astype(np.uint64))
    down, up = np.maximum(width - BITS, 0), np.maximum(BITS - width, 0)
    a, b = (a >> down) << up, (b >> down) << up
    square = a * a + b * b
    line = np.where(width > 0, (square >> _STEP) - 16, 0)
    root = ROOTS[line] + (((ROOTS[line + 1] - ROOTS[line]) * ((square >> 9) & 0x7FFF)) >> 15)
    return np.where(width > 0, (root << down) >> up, 0)
