"""The sums of a fully connected layer on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import i32
from sandgrain.kernels.base import Kernel, Lowered, lowered
from sandgrain.kernels.shared.windows import folded_bias


def _lower(view: View) -> Lowered:
    rows = view.const(1)
    units, depth = rows.shape
    fields = {
        "weights": rows,
        "bias": i32(folded_bias(view, rows)),
        "batch": view.input(0).size // depth,
        "depth": depth,
        "units": units,
    }
    return lowered("dense_sum_s8", fields)


KERNEL = Kernel("dense_sum_s8", ("dense_sum",), _lower)
