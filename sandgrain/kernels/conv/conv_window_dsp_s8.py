"""Convolutions by windows for the DSP extension: two pixels and four output channels at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, Fit, Kernel, Refused, before, lowered
from sandgrain.kernels.conv.one_channel import of_one_channel
from sandgrain.kernels.shared.dsp_stream import conv_fields, window_scratch, words_of
from sandgrain.kernels.shared.overlap import window_lead
from sandgrain.kernels.shared.windows import window_fields


def _room(size: int, taps: int, dilation: int) -> int:
    """How many starts along one axis leave a window wholly inside."""
    return max(0, size - (taps - 1) * dilation)


def _lower(view: View) -> Fit:
    fields = conv_fields(view)
    if isinstance(fields, Refused):
        return fields
    x, (dilation_h, dilation_w) = view.input(0), view.attrs["dilation"]
    _, kernel_h, kernel_w, in_c = view.input(1).shape
    fields |= {
        "blank": np.full(in_c, x.zero_point, np.int8),
        "words": words_of(view),
        "row_bytes": kernel_w * in_c,
        "inside_rows": _room(x.shape[1], kernel_h, dilation_h),
        "inside_columns": _room(x.shape[2], kernel_w, dilation_w) if dilation_w == 1 or kernel_w == 1 else 0,
        **window_fields(view, "in_c", "out_c"),
    }
    scratch = window_scratch(view, words_of(view))
    return lowered("conv_window_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, scratch, (before(window_lead(view)),))


CONVOLUTION = Kernel(
    "conv_window_dsp_s8",
    ("conv_2d",),
    _lower,
    "two weights share a word, and every channel is shifted right by 2 to 31",
    DSP_CORES + 30,
    DSP,
)
DEPTHWISE = replace(
    CONVOLUTION, ops=("depthwise_conv_2d",), lower=of_one_channel(_lower), when=f"one input channel; {CONVOLUTION.when}"
)
