"""Sums and differences on any core, with broadcasting. Input `a` is the one with the larger scale: its rescaling is a shift by 19."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.add_sub import LEFT_SHIFT, Sum
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import ANY_CORE, In, Kernel, Lowered, Out, lowered, op_of
from sandgrain.kernels.elementwise.broadcasting import loop_fields, over_unrepeated

HALF = (1 << 30, 0)  # (multiplier, shift) of 0.5, which the input with the larger scale always has


def _lower(view: View) -> Lowered:
    op = op_of(view, Sum)
    ratios = op.ratios(view)
    swap = quantize_multiplier(ratios.a) != HALF
    first, second = (1, 0) if swap else (0, 1)
    signs = (1, op.sign)
    multiplier, shift = quantize_multiplier(ratios.a if swap else ratios.b)
    out_multiplier, out_shift = quantize_multiplier(ratios.out)
    low, high = clamp_of(view)
    b_shift, b_half, b_sign = rounding(shift)
    shift_out, half, sign = rounding(out_shift, low - view.out.zero_point)
    a, b = view.input(first), view.input(second)
    factor = signs[first] << (LEFT_SHIFT - 1)
    fields = {
        **loop_fields(a, b),
        "a_factor": factor,
        "a_offset": -a.zero_point * factor,
        "b_factor": signs[second],
        "b_zero_point": b.zero_point,
        "b_multiplier": multiplier,
        "b_shift": b_shift,
        "b_half": b_half,
        "b_sign": b_sign,
        "multiplier": out_multiplier,
        "shift": shift_out,
        "half": half,
        "sign": sign,
        "out_zero_point": view.out.zero_point,
        "low": low,
        "high": high,
    }
    return lowered("add_s8", fields, (In(first), In(second), Out(0)), sharing=over_unrepeated(view))


KERNEL = Kernel("add_s8", ("add", "sub"), _lower, rank=ANY_CORE)
