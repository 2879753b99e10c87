"""Tables of the portable kernels that rescale with one multiply: weights in groups of channels, and their constants.

The constants come from `proofs/output_thresholds.py`; the C that reads them is in `sg_scale.h`.
"""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.kernels.base import Refused
from sandgrain.kernels.proofs.output_thresholds import Steps, find_steps
from sandgrain.kernels.shared.windows import folded_bias


def groups(channels: int, *sizes: int) -> list[slice]:
    """Channels cut into as many groups of the first size as there are, then of the next size, down to 1."""
    cut, start = [], 0
    for size in (*sizes, 1):
        while channels - start >= size:
            cut.append(slice(start, start + size))
            start += size
    return cut


def interleave(rows: Array, cut: list[slice]) -> Array:
    """[channels, depth] as [depth][channels] of each group."""
    return np.concatenate([rows[g].T.reshape(-1) for g in cut])


def scale_table(steps: Steps, cut: list[slice]) -> Array:
    """int32: for each group its biases, then (multiplier, code) of each of its channels."""
    scales = np.stack([steps.multiplier, steps.code], axis=1)
    return np.concatenate([part for g in cut for part in (steps.bias[g], scales[g].reshape(-1))])


def steps_of(view: View, rows: Array) -> Steps | Refused:
    """The constants of a layer with weights [channels, taps], the input zero point folded into the bias."""
    multiplier, shift = channel_multipliers(view, len(rows))
    bias = folded_bias(view, rows)
    return find_steps(multiplier, shift.astype(np.int32), rows, bias, view.out.zero_point, clamp_of(view))
