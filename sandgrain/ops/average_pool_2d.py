"""2-D average pool: the mean of the taps inside the input, rounded to nearest, halves away from zero."""

from __future__ import annotations

import numpy as np

from sandgrain.ir import Array
from sandgrain.ops.base import Foreign
from sandgrain.ops.pooling import POOL_OPTIONS, Pool


class AveragePool2D(Pool):
    name = "average_pool_2d"
    summary = "2-D average pool with a fused activation"
    foreign = (Foreign("AVERAGE_POOL_2D", 1, 5, POOL_OPTIONS, version=2),)
    fill = 0

    def _reduce(self, taps: Array, counts: Array) -> Array:
        total, count = taps.sum(axis=3), counts[None, :, :, None]
        return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count))
