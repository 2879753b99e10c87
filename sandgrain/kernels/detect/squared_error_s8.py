"""The sum of squared differences of two int8 tensors."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.detect.squared_error import multipliers, shift_of
from sandgrain.kernels.base import TWO_INPUTS, Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    a, b = view.input(0), view.input(1)
    m, n = multipliers(a, b)
    fields = {
        "size": a.size,
        "left": m,
        "right": n,
        "offset": m * a.zero_point - n * b.zero_point,
        "shift": shift_of(a, b),
    }
    return lowered("squared_error_s8", fields, TWO_INPUTS)


KERNEL = Kernel("squared_error_s8", ("squared_error",), _lower)
