"""Fully connected layers for the DSP extension: eight units at once."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import i32
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.kernels.base import DSP, DSP_CORES, Fit, Kernel, Refused, lowered
from sandgrain.kernels.shared.dsp_stream import channels_of, stream_of

UNITS = 8  # of a block


def _lower(view: View) -> Fit:
    units, depth = view.input(1).shape
    if depth % 4:
        return Refused(f"{depth} inputs are no multiple of 4")
    if units < UNITS:
        return Refused(f"{units} units; the kernel computes {UNITS} at once")
    if view.out.size == 0:
        return Refused("the output is empty")
    channels = channels_of(view)
    stream = channels if isinstance(channels, Refused) else stream_of(channels, UNITS)
    if isinstance(stream, Refused):
        return stream
    low, high = clamp_of(view)
    fields = {
        "packed_weights": i32(stream),
        "partial_block_begin": units // UNITS * stream.shape[1],
        "partial_block_end": stream.size,
        "batch": view.input(0).size // depth,
        "depth": depth,
        "units": units,
        "zero_point": view.out.zero_point,
        "round_half_away": int(low < view.out.zero_point),
        "low": low,
        "high": high,
    }
    return lowered("fully_connected_dsp_s8", fields)


KERNEL = Kernel(
    "fully_connected_dsp_s8",
    ("fully_connected",),
    _lower,
    "inputs in fours, at least eight units; two weights share a word, and every unit is shifted right by 2 to 31",
    DSP_CORES,
    DSP,
)
