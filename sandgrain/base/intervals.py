"""Intervals that hold the true value with 95 %."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z = 1.959964  # 97.5 % of the standard normal distribution lie below
# 97.5 % of Student's t distribution lie below, for 1, 2, ... degrees of freedom; Z beyond.
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101,
     2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


def of_share(share: float, samples: int) -> tuple[float, float]:
    """Of a share of `samples` that were drawn at random (E. B. Wilson, "Probable Inference", 1927)."""
    z2 = Z * Z / samples
    middle = (share + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples)) / (1 + z2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def of_mean(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean of two or more values, by Student's t distribution."""
    count = len(values)
    mean = sum(values) / count
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (count - 1))
    half = (T[count - 2] if count - 2 < len(T) else Z) * deviation / math.sqrt(count)
    return mean - half, mean + half
