"""Means and sums over all dimensions but the last, or but the first and the last, for the DSP extension: four channels at once."""

from __future__ import annotations

import math

from sandgrain.graph.ir import View
from sandgrain.graph.ops.pool.mean import Mean
from sandgrain.kernels.base import DSP, DSP_CORES, OVER_INPUT, Fit, Kernel, Refused, lowered, op_of
from sandgrain.kernels.pool.windows_2d import MAX_TAPS


def _sizes(view: View) -> tuple[int, int, int] | Refused:
    """(batch, count, channels) if the axes leave just those."""
    sizes, axes = view.input(0).shape, set(view.attrs["axes"])
    kept = [k for k in range(len(sizes)) if k not in axes and sizes[k] > 1]
    last = len(sizes) - 1
    if last in axes or sizes[last] < 4:
        return Refused("the last axis is reduced or shorter than four")
    if [k for k in kept if k != last and any(a < k and sizes[a] > 1 for a in axes)]:
        return Refused("a kept axis lies behind a reduced one")
    count = math.prod(sizes[a] for a in axes)
    if count > MAX_TAPS:
        return Refused(f"{count} values are summed; at most {MAX_TAPS} sum up in 16 bits")
    return math.prod(sizes[k] for k in kept if k != last), count, sizes[last]


def _lower(view: View) -> Fit:
    sizes = _sizes(view)
    if isinstance(sizes, Refused):
        return sizes
    batch, count, channels = sizes
    multiplier, shift = op_of(view, Mean).rescale(view)
    fields = {
        "batch": batch,
        "count": count,
        "channels": channels,
        "offset": -view.input(0).zero_point * count,
        "multiplier": multiplier,
        "shift": shift,
        "out_zero_point": view.out.zero_point,
    }
    return lowered("mean_dsp_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel(
    "mean_dsp_s8",
    ("mean", "sum"),
    _lower,
    "axes between the first and the last kept ones, at least four channels, at most 255 values per result",
    DSP_CORES,
    DSP,
)
