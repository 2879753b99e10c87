"""What the kernels of distances share: sizes, and int16 values in pairs for the DSP extension."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.kernels.base import Fields


def size_fields(view: View) -> Fields:
    """Rows, their step and depth, components and the last shift."""
    count, components = view.out.shape
    return {
        "rows": count,
        "step": view.attrs["step"],
        "depth": view.attrs["depth"],
        "components": components,
        "shift": view.attrs["shift"],
    }


def pairs(values: Array, multiple: int = 2) -> Array:
    """int16 [..., n] to int32 [..., pairs]: the first of a pair in the low half, zeros up to a `multiple` of values."""
    odd = -values.shape[-1] % multiple
    even = np.concatenate([values, np.zeros((*values.shape[:-1], odd), values.dtype)], axis=-1)
    halves = np.ascontiguousarray(even, "<i2").view("<i4").astype(np.int32)
    return halves.reshape(*values.shape[:-1], even.shape[-1] // 2)


def row_scratch(view: View) -> int:
    """Bytes of one row as int16, a multiple of four values."""
    return 8 * ((int(view.attrs["depth"]) + 3) // 4)
