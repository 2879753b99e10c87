"""Convolutions for cores without DSP: two pixels and four output channels at once, one multiply per rescaling."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.kernels.base import ANY_CORE, ONE_INPUT_AND_SCRATCH, Fit, Kernel, Refused, before, lowered
from sandgrain.kernels.conv.one_channel import of_one_channel
from sandgrain.kernels.shared.overlap import pair_lead
from sandgrain.kernels.shared.threshold_table import groups, interleave, scale_table, steps_of
from sandgrain.kernels.shared.windows import BLOCK, by_unit, window_fields


def scratch_bytes(weights: Array) -> int:
    """Two windows, and a row of one, for OHWI weights."""
    return 2 * _depth(weights) + int(np.prod(weights.shape[2:]))


def _depth(weights: Array) -> int:
    return -(-int(np.prod(weights.shape[1:])) // 4) * 4


def in_order(weights: Array) -> Array:
    """OHWI weights as [channels, depth] in the order of a window in the scratch: see conv_2d_pair_s8.h."""
    out_c, kernel_h, kernel_w, in_c = weights.shape
    rows = weights.reshape(out_c, kernel_h, kernel_w * in_c)
    fours = kernel_w * in_c // 4 * 4
    ordered = np.concatenate([rows[:, :, :fours].reshape(out_c, -1), rows[:, :, fours:].reshape(out_c, -1)], axis=1)
    return np.pad(ordered, ((0, 0), (0, _depth(weights) - ordered.shape[1])))


def _lower(view: View) -> Fit:
    weights = view.const(1)
    if view.attrs["dilation"][1] != 1 and weights.shape[2] != 1:
        return Refused(f"taps of a row are {view.attrs['dilation'][1]} columns apart; the kernel takes neighbours")
    if weights.size == 0:
        return Refused("there are no weights")
    steps = steps_of(view, by_unit(view))
    if isinstance(steps, Refused):
        return steps
    rows, (low, high) = in_order(weights), clamp_of(view)
    out_c, depth = rows.shape
    blocks, cut = out_c // BLOCK, groups(out_c, BLOCK)
    fields = {
        "weights": interleave(rows, cut),
        "table": scale_table(steps, cut),
        "depth": depth,
        "blocks": blocks,
        "singles": out_c - blocks * BLOCK,
        **window_fields(view, "dilation_w"),
        "in_zero_point": view.input(0).zero_point,
        "low": low,
        "high": high,
        "away": int(steps.away),
    }
    return lowered("conv_2d_pair_s8", fields, ONE_INPUT_AND_SCRATCH, scratch_bytes(weights), (before(pair_lead(view)),))


WHEN = "taps of a row side by side, and a rescaling that one multiply does exactly in every channel"
CONVOLUTION = Kernel("conv_2d_pair_s8", ("conv_2d",), _lower, WHEN, ANY_CORE + 20)
DEPTHWISE = Kernel("conv_2d_pair_s8", ("depthwise_conv_2d",), of_one_channel(_lower), f"one input channel; {WHEN}", ANY_CORE + 20)
