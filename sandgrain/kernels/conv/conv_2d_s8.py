"""Convolutions on any core: four output channels at once, every rescaling there is."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import i32
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.kernels.base import ANY_CORE, Fields, Fit, Kernel, Lowered, lowered
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


_DEPTHWISE_ORDER = (
    "multiplier", "shift", "in_h", "in_w", "out_h", "out_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h",
    "dilation_w", "pad_top", "pad_left", "out_zero_point", "low", "high", "weights", "bias", "batch", "in_c", "out_c", "in_offset",
)  # fmt: skip


def _lower_depthwise(view: View) -> Fit:
    fields = _fields(view)
    return lowered("conv_2d_s8", {name: fields[name] for name in _DEPTHWISE_ORDER})


CONVOLUTION = Kernel("conv_2d_s8", ("conv_2d",), _lower, rank=ANY_CORE + 30)
DEPTHWISE = Kernel(
    "conv_2d_s8", ("depthwise_conv_2d",), of_one_channel(_lower_depthwise), when="one input channel", rank=ANY_CORE + 30
)
