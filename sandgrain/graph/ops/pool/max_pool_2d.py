"""2-D max pool: the largest of the taps inside the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.pool.pooling import POOL_OPTIONS, Pool
from sandgrain.graph.ops.real_math import finished
from sandgrain.graph.ops.traits import PadValue


class MaxPool2D(Pool):
    name = "max_pool_2d"
    summary = "2-D max pool with a fused activation"
    pad_value = PadValue.LEAST
    foreign = (Foreign("MAX_POOL_2D", 17, 5, POOL_OPTIONS, version=2, int16=True),)
    fill = ACTIVATION.low

    def _reduce(self, taps: Array, counts: Array) -> Array:
        return np.asarray(taps.max(axis=3))

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return finished(view, len(inputs[0]), self.filled(view, inputs[0], -np.inf).max(axis=3))
