"""Products on any core, with broadcasting."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.mul import ratio
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import TWO_INPUTS, Kernel, Lowered, lowered
from sandgrain.kernels.elementwise.broadcasting import loop_fields, over_unrepeated


def _lower(view: View) -> Lowered:
    multiplier, shift = quantize_multiplier(ratio(view))
    low, high = clamp_of(view)
    right, half, sign = rounding(min(shift, 0), low - view.out.zero_point)
    fields = {
        **loop_fields(view.input(0), view.input(1)),
        "a_zero_point": view.input(0).zero_point,
        "b_zero_point": view.input(1).zero_point,
        "left": max(shift, 0) + 1,
        "multiplier": multiplier,
        "shift": right,
        "half": half,
        "sign": sign,
        "out_zero_point": view.out.zero_point,
        "low": low,
        "high": high,
    }
    return lowered("mul_s8", fields, TWO_INPUTS, sharing=over_unrepeated(view))


KERNEL = Kernel("mul_s8", ("mul",), _lower)
