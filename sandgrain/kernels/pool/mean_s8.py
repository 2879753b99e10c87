"""Means and sums over any axes on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.pool.mean import Mean
from sandgrain.graph.ops.pool.reduction import GROUPS, loop_groups, reduced_count
from sandgrain.kernels.base import OVER_INPUT, Fields, Kernel, Lowered, lowered, op_of


def loop_fields(view: View) -> Fields:
    """The kernels' `kept`, `reduced` and their strides, GROUPS long."""
    kept, reduced = ([(1, 0)] * (GROUPS - len(g)) + g for g in loop_groups(view))
    return {
        "kept": tuple(s for s, _ in kept),
        "kept_stride": tuple(s for _, s in kept),
        "reduced": tuple(s for s, _ in reduced),
        "reduced_stride": tuple(s for _, s in reduced),
    }


def _lower(view: View) -> Lowered:
    multiplier, shift = op_of(view, Mean).rescale(view)
    fields = loop_fields(view) | {
        "offset": -view.input(0).zero_point * reduced_count(view),
        "multiplier": multiplier,
        "shift": shift,
        "out_zero_point": view.out.zero_point,
    }
    return lowered("mean_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel("mean_s8", ("mean", "sum"), _lower)
