"""Sums of two int8 inputs as Helium does them: a plane that equals the op for all 65,536 pairs, rounded twice on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import INT8
from sandgrain.graph.quantization import INT32_MAX
from sandgrain.kernels.proofs.pair_plane import VALUES

SHIFT = 22  # fraction bits: the kernel narrows by 16 and 6
HALF = 1 << 15  # that the first of the two adds
REACH = 6  # by which a multiplier may leave its rounded value
STEPS = sorted(((a, b) for a in range(-REACH, REACH + 1) for b in range(-REACH, REACH + 1)), key=lambda s: abs(s[0]) + abs(s[1]))


@dataclass(frozen=True, slots=True)
class Plane:
    """y = (offset + a * multiplier_a + b * multiplier_b) >> SHIFT, clamped."""

    multiplier_a: int
    multiplier_b: int
    offset: int


def narrow_plane(slope_a: float, slope_b: float, expected: Array, low: int, high: int) -> Plane | None:
    """The plane that equals `expected` [256, 256] (a, then b, both in order from -128), or None when none is found.

    `slope_a`, `slope_b`: outputs a level of either input. `expected` is clamped to `low` .. `high`.
    """
    wanted = expected.astype(np.int64)
    least = np.where(wanted <= low, np.iinfo(np.int64).min // 2, wanted << SHIFT)
    most = np.where(wanted >= high, np.iinfo(np.int64).max // 2, ((wanted + 1) << SHIFT) - 1)
    near_a, near_b = round(slope_a * 2.0**SHIFT), round(slope_b * 2.0**SHIFT)
    if (abs(near_a) + abs(near_b) + 2 * REACH) * -INT8.low > INT32_MAX:
        return None
    for step_a, step_b in STEPS:
        a, b = near_a + step_a, near_b + step_b
        total = (VALUES * a)[:, None] + (VALUES * b)[None, :]
        lowest, highest = int((least - total).max()), int((most - total).min())
        if lowest > highest:
            continue
        offset = (lowest + highest) // 2
        reach = (abs(a) + abs(b)) * -INT8.low + abs(offset) + HALF
        if reach <= INT32_MAX:
            return Plane(a, b, offset)
    return None
