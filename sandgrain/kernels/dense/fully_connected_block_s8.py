"""Fully connected layers for cores without DSP: eight units at once, one multiply per rescaling."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, lowered
from sandgrain.kernels.shared.threshold_table import groups, interleave, scale_table, steps_of

UNITS, FEWER = 8, 4  # units of a block, and of what may follow the blocks


def _lower(view: View) -> Fit:
    rows = view.const(1)
    if rows.size == 0:
        return Refused("there are no weights")
    steps = steps_of(view, rows)
    if isinstance(steps, Refused):
        return steps
    units, depth = rows.shape
    cut, (low, high) = groups(units, UNITS, FEWER), clamp_of(view)
    fields = {
        "weights": interleave(rows, cut),
        "table": scale_table(steps, cut),
        "depth": depth,
        "blocks": units // UNITS,
        "fours": units % UNITS // FEWER,
        "batch": view.input(0).size // depth,
        "units": units,
        "low": low,
        "high": high,
        "away": int(steps.away),
    }
    return lowered("fully_connected_block_s8", fields)


KERNEL = Kernel(
    "fully_connected_block_s8",
    ("fully_connected",),
    _lower,
    "a rescaling that one multiply does exactly for every unit",
    ANY_CORE + 10,
)
