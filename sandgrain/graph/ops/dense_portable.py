"""Fully connected layers for cores without DSP: packed weights and rescaling tables."""

from __future__ import annotations

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.graph.ops.conv_portable import groups, interleave, scale_table, steps_of
from sandgrain.graph.ops.steps import Steps

BLOCK, HALF = 8, 4  # units of a block of fully_connected_block_s8.h, and of what may follow the blocks


def _steps(view: View) -> Steps | None:
    rows = view.const(1)
    return steps_of(view, rows, *channel_multipliers(view, len(rows)))


def _accepts(view: View) -> bool:
    return view.const(1).size > 0 and _steps(view) is not None


def _lower(view: View) -> tuple[Call, ...]:
    rows, steps = view.const(1), _steps(view)
    assert steps is not None
    units, depth = rows.shape
    cut, (low, high) = groups(units, BLOCK, HALF), clamp_of(view)
    fields: dict[str, int | float | tuple[int, ...] | Array] = {
        "weights": interleave(rows, cut), "table": scale_table(steps, cut),
        "depth": depth, "blocks": units // BLOCK, "fours": units % BLOCK // HALF,
        "batch": view.input(0).size // depth, "units": units, "low": low, "high": high, "away": int(steps.away),
    }  # fmt: skip
    return (Call("portable/fully_connected_block_s8.h", fields, (In(0), Out(0))),)


DENSE_BLOCKS = Kernel("fully_connected_block_s8", _lower, accepts=_accepts)
