"""Convolutions by windows for Helium: two pixels and eight output channels at once."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import View
from sandgrain.kernels.base import HELIUM, MVE, ONE_INPUT_AND_SCRATCH, Fit, Kernel, before, lowered
from sandgrain.kernels.conv.one_channel import of_one_channel
from sandgrain.kernels.shared.mve_stream import GROUP, LANES, layer_fields, refused_layer, vectors_of
from sandgrain.kernels.shared.overlap import window_lead
from sandgrain.kernels.shared.windows import window_fields


def _lower(view: View) -> Fit:
    if refused := refused_layer(view):
        return refused
    fields = {**layer_fields(view, GROUP // 2), **window_fields(view), "in_zero_point": view.input(0).zero_point}
    scratch = 2 * LANES * vectors_of(view)
    return lowered("conv_window_mve_s8", fields, ONE_INPUT_AND_SCRATCH, scratch, (before(window_lead(view)),))


CONVOLUTION = Kernel("conv_window_mve_s8", ("conv_2d",), _lower, "no channel is shifted left", HELIUM + 30, MVE)
DEPTHWISE = replace(
    CONVOLUTION, ops=("depthwise_conv_2d",), lower=of_one_channel(_lower), when=f"one input channel; {CONVOLUTION.when}"
)
