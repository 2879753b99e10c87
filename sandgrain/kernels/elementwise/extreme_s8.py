"""The larger or the smaller of two elements, with broadcasting."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import TWO_INPUTS, Kernel, Lowered, lowered
from sandgrain.kernels.elementwise.broadcasting import loop_fields, over_unrepeated


def _lowered(view: View, larger: int) -> Lowered:
    fields = {**loop_fields(view.input(0), view.input(1)), "larger": larger}
    return lowered("extreme_s8", fields, TWO_INPUTS, sharing=over_unrepeated(view))


MAXIMUM = Kernel("extreme_s8", ("maximum",), lambda view: _lowered(view, 1))
MINIMUM = Kernel("extreme_s8", ("minimum",), lambda view: _lowered(view, 0))
