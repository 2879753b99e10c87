"""The type of numpy's arrays, for rooms that know nothing of graphs, and how numbers from outside become float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def as_float64(values: Array) -> Array:
    """Numbers of a file as float64. A signalling NaN becomes a quiet one and what no float64 holds infinite, without a warning: readers count
    both."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.multiply(values, 1.0, dtype=np.float64, casting="unsafe"))  # a copy would leave float64 as it is


def channels_of(parts: Sequence[Array]) -> Array:
    """Arrays of one shape as the channels of one, behind its axes; of several types as the one that holds them, see `as_float64`."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.stack(parts, axis=-1)
