"""int8 values of reals, as most tests feed them to a graph."""

from __future__ import annotations

import numpy.typing as npt

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import INT8
from sandgrain.graph.quantization import Quantization, quantize


def to_int8(real: npt.ArrayLike, q: Quantization) -> Array:
    """`real` under the per-tensor quantization `q`."""
    return quantize(real, q, INT8)
