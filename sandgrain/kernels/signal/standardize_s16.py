"""Columns less their mean, over their deviation, to int8."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.kernels.base import OVER_INPUT, Kernel, Lowered, before, lowered


def _lower(view: View) -> Lowered:
    a, columns = view.attrs, len(view.attrs["offset"])
    fields = {
        "rows": view.out.size // columns,
        "columns": columns,
        "offset": np.array(a["offset"], np.int32),
        "multiplier": np.array(a["multiplier"], np.int32),
        "shift": np.array(a["shift"], np.int8),
        "out_zero_point": view.out.zero_point,
    }
    # Byte i is written when the values before number i + 1 have been read, and they end behind it.
    return lowered("standardize_s16", fields, sharing=(*OVER_INPUT, before(0)))


KERNEL = Kernel("standardize_s16", ("standardize",), _lower)
