"""Transposed convolutions on any core: four output channels at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.kernels.base import ANY_CORE, Kernel, Lowered, lowered
from sandgrain.kernels.conv.phases import phase_fields
from sandgrain.kernels.shared.windows import blocked


def _packed(weights: Array, stride: Sequence[int]) -> Array:
    """For each phase (row by row) its taps from the last to the first, so that the input is read forwards, as conv_2d_s8.h
    wants them: [out_c / 4][taps][in_c][4], then the last channels one after another.
    """
    parts = []
    for y, x in np.ndindex(*stride):
        taps = weights[:, y :: stride[0], x :: stride[1]][:, ::-1, ::-1]
        if taps.size:  # a stride above the kernel's side leaves positions without taps
            parts.append(blocked(taps.reshape(len(weights), -1)))
    return np.concatenate(parts)


def _lower(view: View) -> Lowered:
    x, out, weights = view.input(0), view.out, view.const(1)
    stride, (low, high) = view.attrs["stride"], clamp_of(view)
    multiplier, shift = channel_multipliers(view, out.shape[3])
    fields = phase_fields(view, weights.shape[1:3]) | {
        "weights": _packed(weights, stride),
        "bias": bias_of(view, out.shape[3]),
        "multiplier": multiplier,
        "shift": shift,
        "in_offset": -x.zero_point,
        "out_zero_point": out.zero_point,
        "low": low,
        "high": high,
    }
    return lowered("transpose_conv_s8", fields)


KERNEL = Kernel("transpose_conv_s8", ("transpose_conv",), _lower, rank=ANY_CORE + 20)
