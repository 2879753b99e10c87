"""2-D max pool: the largest of the taps inside the input."""

from __future__ import annotations

import numpy as np

from sandgrain.ir import Array
from sandgrain.ops.base import Foreign
from sandgrain.ops.pooling import POOL_OPTIONS, Pool
from sandgrain.quant import INT8_MIN


class MaxPool2D(Pool):
    name = "max_pool_2d"
    summary = "2-D max pool with a fused activation"
    foreign = (Foreign("MAX_POOL_2D", 17, 5, POOL_OPTIONS, version=2),)
    fill = INT8_MIN

    def _reduce(self, taps: Array, counts: Array) -> Array:
        return np.asarray(taps.max(axis=3))
