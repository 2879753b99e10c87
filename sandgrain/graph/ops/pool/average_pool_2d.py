"""2-D average pool: the mean of the taps inside the input, rounded to nearest, halves away from zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.pool.pooling import POOL_OPTIONS, Pool
from sandgrain.graph.ops.real_math import finished


class AveragePool2D(Pool):
    name = "average_pool_2d"
    summary = "2-D average pool with a fused activation"
    foreign = (Foreign("AVERAGE_POOL_2D", 1, 5, POOL_OPTIONS, version=2, int16=True),)
    fill = 0

    def _reduce(self, taps: Array, counts: Array) -> Array:
        total, count = taps.sum(axis=3), counts[None, :, :, None]
        return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count))

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        inside = self.filled(view, np.ones((1, 1, *view.input(0).shape[1:3], 1), np.float32), 0).sum(axis=3)
        return finished(view, len(inputs[0]), self.filled(view, inputs[0], 0).sum(axis=3) / np.maximum(inside, 1))
