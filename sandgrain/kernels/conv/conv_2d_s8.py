"""Convolutions on any core: four output channels at once, every rescaling there is."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import i32
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.kernels.base import ANY_CORE, Fields, Kernel, Lowered, lowered
from sandgrain.kernels.conv.one_channel import of_one_channel
from sandgrain.kernels.shared.windows import blocked, by_unit, folded_bias, window_fields


def _fields(view: View) -> Fields:
    rows = by_unit(view)
    multiplier, shift = channel_multipliers(view, len(rows))
    # Without padding every tap is always inside, so the zero point's share is a constant: it goes into the bias.
    padded = any(view.attrs["padding"])
    low, high = clamp_of(view)
    return {
        "weights": blocked(rows),
        "bias": i32(bias_of(view, len(rows)) if padded else folded_bias(view, rows)),
        "multiplier": multiplier,
        "shift": shift,
        **window_fields(view),
        "in_offset": -view.input(0).zero_point if padded else 0,
        "out_zero_point": view.out.zero_point,
        "low": low,
        "high": high,
    }


def _lower(view: View) -> Lowered:
    return lowered("conv_2d_s8", _fields(view))


CONVOLUTION = Kernel("conv_2d_s8", ("conv_2d",), _lower, rank=ANY_CORE + 30)
DEPTHWISE = Kernel("conv_2d_s8", ("depthwise_conv_2d",), of_one_channel(_lower), when="one input channel", rank=ANY_CORE + 30)
