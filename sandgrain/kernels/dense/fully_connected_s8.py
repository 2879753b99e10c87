"""Fully connected layers on any core: four units at once, every rescaling there is."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import i32
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.dense.fully_connected import multipliers
from sandgrain.kernels.base import ANY_CORE, Kernel, Lowered, lowered
from sandgrain.kernels.shared.windows import blocked, folded_bias


def _lower(view: View) -> Lowered:
    rows = view.const(1)
    units, depth = rows.shape
    multiplier, shift = multipliers(view, units)
    low, high = clamp_of(view)
    fields = {
        "weights": blocked(rows),
        "bias": i32(folded_bias(view, rows)),
        "multiplier": multiplier,
        "shift": shift,
        "batch": view.input(0).size // depth,
        "depth": depth,
        "units": units,
        "out_zero_point": view.out.zero_point,
        "low": low,
        "high": high,
    }
    return lowered("fully_connected_s8", fields)


KERNEL = Kernel("fully_connected_s8", ("fully_connected",), _lower, rank=ANY_CORE + 20)
