"""The index of the largest element along one axis, on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.layout.movement import halves
from sandgrain.kernels.base import Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    x, axis = view.input(0), view.attrs["axis"]
    outer, inner = halves(x.shape, axis)
    return lowered("arg_max_s8", {"outer": outer, "axis": x.shape[axis], "inner": inner})


KERNEL = Kernel("arg_max_s8", ("arg_max",), _lower)
