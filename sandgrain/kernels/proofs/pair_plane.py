"""The cheapest form of an element-wise op of two int8 inputs that gives the same output for all 65,536 pairs.

A sum is y = saturate8((offset + (a * multiplier_a >> 8) + (b * multiplier_b >> 8)) >> 21): two SMLAWs and an SSAT. That is a
plane in fixed point, where the rule rounds three times; an offset that puts every pair on the right side usually
exists, and when none does, neighbouring multipliers are tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import INT8
from sandgrain.graph.quantization import INT32_MAX, Int64

SHIFT = 21  # fraction bits of the sum: outputs up to +-1023 fit 32 bits
VALUES = INT8.values()  # every int8, in order
STEPS = (0, 1, -1, 2, -2)  # by which a multiplier may leave its rounded value


@dataclass(frozen=True, slots=True)
class Plane:
    """The constants of a sum of two inputs. Multipliers are of 2^-29 outputs a level, the offset is of 2^-21 outputs."""

    multiplier_a: int
    multiplier_b: int
    offset: int


def exact_plane(slope_a: float, slope_b: float, expected: Array, low: int = INT8.low, high: int = INT8.high) -> Plane | None:
    """The plane that equals `expected` [256, 256] (a, then b, both in order from -128), or None when none is found.

    `slope_a`, `slope_b`: outputs a level of either input. `expected` is clamped to `low` .. `high`, and so will the plane be.
    """
    wanted = expected.astype(np.int64)
    least = np.where(wanted <= low, np.iinfo(np.int64).min // 2, wanted << SHIFT)
    most = np.where(wanted >= high, np.iinfo(np.int64).max // 2, ((wanted + 1) << SHIFT) - 1)
    near_a, near_b = round(slope_a * 2.0 ** (SHIFT + 8)), round(slope_b * 2.0 ** (SHIFT + 8))
    for step_a in STEPS:
        for step_b in STEPS:
            found = _plane(near_a + step_a, near_b + step_b, least, most)
            if found is not None:
                return found
    return None


def _plane(multiplier_a: int, multiplier_b: int, least: Int64, most: Int64) -> Plane | None:
    """The plane with these multipliers whose sums lie from `least` to `most`, and fit 32 bits on the way."""
    if max(abs(multiplier_a), abs(multiplier_b)) > INT32_MAX:
        return None
    a, b = VALUES * multiplier_a >> 8, VALUES * multiplier_b >> 8
    total = a[:, None] + b[None, :]
    low, high = int((least - total).max()), int((most - total).min())
    if low > high:
        return None
    offset = (low + high) // 2
    reach = max(int(np.abs(offset + total).max()), int(np.abs(offset + a).max()), abs(offset))
    return Plane(multiplier_a, multiplier_b, offset) if reach <= INT32_MAX else None
