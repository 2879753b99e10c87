"""1x1 convolutions for Helium: two pixels and eight output channels at once."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import View
from sandgrain.kernels.base import HELIUM, MVE, ONE_INPUT_AND_SCRATCH, OVER_INPUT, Fit, Kernel, Refused, Share, before, lowered
from sandgrain.kernels.conv.one_channel import of_one_channel
from sandgrain.kernels.shared.mve_stream import GROUP, LANES, layer_fields, refused_layer, vectors_of
from sandgrain.kernels.shared.windows import is_pointwise


def _sharing(view: View) -> tuple[Share, ...]:
    """Over its input, or before it by what all pairs of pixels but the last gain."""
    in_c, out_c = view.input(0).shape[3], view.out.shape[3]
    pixels = view.out.size // out_c
    start = before(max(0, (pixels - 1) // 2 * 2 * (out_c - in_c)))
    return (start,) if out_c > in_c else (*OVER_INPUT, start)


def _lower(view: View) -> Fit:
    if not is_pointwise(view):
        return Refused("not a 1x1 convolution with stride 1 and without padding")
    if refused := refused_layer(view):
        return refused
    in_c, out_c = view.input(0).shape[3], view.out.shape[3]
    fields = {**layer_fields(view, GROUP // 2), "pixels": view.out.size // out_c, "in_c": in_c, "out_c": out_c}
    scratch = 2 * LANES * vectors_of(view)
    return lowered("conv_pointwise_mve_s8", fields, ONE_INPUT_AND_SCRATCH, scratch, _sharing(view))


CONVOLUTION = Kernel(
    "conv_pointwise_mve_s8", ("conv_2d",), _lower, "1x1, stride 1, no padding; no channel is shifted left", HELIUM + 20, MVE
)
DEPTHWISE = replace(
    CONVOLUTION, ops=("depthwise_conv_2d",), lower=of_one_channel(_lower), when=f"one input channel; {CONVOLUTION.when}"
)
