"""Products for the DSP extension, without broadcasting: four elements at once."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.mul import ratio
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import DSP, DSP_CORES, TWO_INPUTS, Fit, Kernel, Refused, lowered
from sandgrain.kernels.elementwise.broadcasting import over_unrepeated, refused_broadcast

MAX_SHIFT = 22  # a zero point shifted left by it fits 32 bits


def _lower(view: View) -> Fit:
    if refused := refused_broadcast(view):
        return refused
    multiplier, shift = quantize_multiplier(ratio(view))
    if shift < -MAX_SHIFT:
        return Refused(f"products are shifted right by {-shift}; the kernel shifts by at most {MAX_SHIFT}")
    low, high = clamp_of(view)
    right, half, sign = rounding(min(shift, 0), low - view.out.zero_point)
    fields = {
        "a_zero_point": view.input(0).zero_point,
        "b_zero_point": view.input(1).zero_point,
        "left": max(shift, 0) + 1,
        "multiplier": multiplier,
        "offset": half + view.out.zero_point * (1 << right),
        "shift": right,
        "sign": sign,
        "low": low,
        "high": high,
        "count": view.out.size,
    }
    return lowered("mul_dsp_s8", fields, TWO_INPUTS, sharing=over_unrepeated(view))


KERNEL = Kernel("mul_dsp_s8", ("mul",), _lower, "equal shapes, products shifted right by at most 22", DSP_CORES, DSP)
