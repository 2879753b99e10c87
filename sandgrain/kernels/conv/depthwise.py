"""What the depthwise kernels share: their parameters and their walks over an image."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.kernels.base import Fields
from sandgrain.kernels.conv.line_walk import Walk
from sandgrain.kernels.shared.windows import window_fields


def geometry(view: View) -> Fields:
    """Rescaling, window and clamp of the portable kernels."""
    multiplier, shift = channel_multipliers(view, view.out.shape[3])
    low, high = clamp_of(view)
    return {
        "multiplier": multiplier,
        "shift": shift,
        **window_fields(view, "batch", "in_c", "out_c"),
        "out_zero_point": view.out.zero_point,
        "low": low,
        "high": high,
    }


def walk_fields(view: View, walk: Walk) -> Fields:
    """Lines and elements of a walk's input and output, and the elements from one to the next."""
    channels = view.out.shape[3]
    (lines, size), (outputs, length) = walk.sizes
    in_step = walk.of((view.input(0).shape[2] * channels, channels))
    out_step = walk.of((view.out.shape[2] * channels, channels))
    return {
        "in_outer": lines,
        "in_inner": size,
        "out_outer": outputs,
        "out_inner": length,
        "in_outer_step": in_step[0],
        "in_inner_step": in_step[1],
        "out_outer_step": out_step[0],
        "out_inner_step": out_step[1],
    }
