"""Transposed convolutions for the DSP extension: each phase as a convolution by windows."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, Fit, Kernel, Refused, lowered
from sandgrain.kernels.conv.phases import filled, phase_fields, phase_views
from sandgrain.kernels.shared.dsp_stream import conv_stream, window_scratch, words_of


def _lower(view: View) -> Fit:
    views = phase_views(view)
    if isinstance(views, Refused):
        return views
    streams = []
    for phase in views:
        stream = conv_stream(phase)
        if isinstance(stream, Refused):
            return stream
        streams.append(stream.reshape(-1))
    low, high = clamp_of(view)
    fields = phase_fields(view, filled(view)) | {
        "packed_weights": np.concatenate(streams),
        "blank": np.full(view.input(0).shape[3], view.input(0).zero_point, np.int8),
        "zero_point": view.out.zero_point,
        "round_half_away": int(low < view.out.zero_point),
        "low": low,
        "high": high,
    }
    scratch = window_scratch(view, max(words_of(phase) for phase in views))
    return lowered("transpose_conv_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, scratch)


KERNEL = Kernel(
    "transpose_conv_dsp_s8",
    ("transpose_conv",),
    _lower,
    "up to 16 phases; two weights share a word, and every channel is shifted right by 2 to 31",
    DSP_CORES,
    DSP,
)
