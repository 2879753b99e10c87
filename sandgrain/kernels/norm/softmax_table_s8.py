"""Softmax over the last dimension with a table of exponentials."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.fixedpoint import exp_on_negative_values
from sandgrain.graph.ir import View
from sandgrain.graph.ops.norm.softmax import DIFF_BITS, scaling
from sandgrain.graph.quantization import high_mul
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Fit, Kernel, Refused, lowered

TABLE_FROM = 256  # elements for which a table of up to 1 KiB pays


def _lower(view: View) -> Fit:
    if view.out.size < TABLE_FROM:
        return Refused(f"{view.out.size} elements; a table pays from {TABLE_FROM} on")
    multiplier, left, diff_min = scaling(view)
    diff = -np.arange(min(256, 1 - diff_min), dtype=np.int64)
    depth = view.out.shape[-1]
    fields = {
        "exps": exp_on_negative_values(high_mul(diff << left, multiplier), DIFF_BITS),
        "rows": view.out.size // depth,
        "depth": depth,
        "count": diff.size,
    }
    return lowered("softmax_table_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel("softmax_table_s8", ("softmax",), _lower, f"at least {TABLE_FROM} elements", ANY_CORE)
