"""Depthwise convolutions on any core, with any multiplier of channels."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import bias_of
from sandgrain.kernels.base import ANY_CORE, Kernel, Lowered, lowered
from sandgrain.kernels.conv.depthwise import geometry
from sandgrain.kernels.shared.windows import by_channel


def _lower(view: View) -> Lowered:
    x, channels = view.input(0), view.out.shape[3]
    fields = geometry(view) | {
        # [channels][multiplier][kernel_h][kernel_w]
        "weights": by_channel(view).reshape(-1),
        "bias": bias_of(view, channels),
        "batch": x.shape[0],
        "in_c": x.shape[3],
        "depth_multiplier": channels // x.shape[3],
        "in_offset": -x.zero_point,
    }
    return lowered("depthwise_conv_2d_s8", fields)


KERNEL = Kernel("depthwise_conv_2d_s8", ("depthwise_conv_2d",), _lower, rank=ANY_CORE + 40)
