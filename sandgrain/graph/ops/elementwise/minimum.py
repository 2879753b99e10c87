"""The smaller of two inputs, element by element with broadcasting; all three tensors are quantized alike."""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.elementwise.extreme import Extreme


class Minimum(Extreme):
    name = "minimum"
    summary = "the smaller of two inputs, element by element with broadcasting"
    foreign = (Foreign("MINIMUM", 57, 39, int16=True),)

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        found: Array = np.minimum(a, b)
        return found
