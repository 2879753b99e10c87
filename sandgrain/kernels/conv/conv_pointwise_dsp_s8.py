"""1x1 convolutions for the DSP extension: two pixels and four output channels at once, over their own input if they widen."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import View
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, OVER_INPUT, Fit, Kernel, Refused, lowered
from sandgrain.kernels.conv.one_channel import of_one_channel
from sandgrain.kernels.shared.dsp_stream import conv_fields, words_of
from sandgrain.kernels.shared.windows import is_pointwise


def _lower(view: View) -> Fit:
    if not is_pointwise(view):
        return Refused("not a 1x1 convolution with stride 1 and without padding")
    fields = conv_fields(view)
    if isinstance(fields, Refused):
        return fields
    widens = view.out.shape[3] > view.input(0).shape[3]  # then the kernel walks backwards
    fields |= {"pixels": view.input(0).size // view.input(0).shape[3], "backward": int(widens)}
    return lowered("conv_pointwise_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, 16 * words_of(view), OVER_INPUT)


CONVOLUTION = Kernel(
    "conv_pointwise_dsp_s8",
    ("conv_2d",),
    _lower,
    "1x1, stride 1, no padding; two weights share a word, and every channel is shifted right by 2 to 31",
    DSP_CORES + 20,
    DSP,
)
DEPTHWISE = replace(
    CONVOLUTION, ops=("depthwise_conv_2d",), lower=of_one_channel(_lower), when=f"one input channel; {CONVOLUTION.when}"
)
