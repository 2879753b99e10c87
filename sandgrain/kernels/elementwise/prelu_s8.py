"""x where x >= 0, alpha * x elsewhere, with broadcasting."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.elementwise.prelu import ratios
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import TWO_INPUTS, Fields, Kernel, Lowered, lowered
from sandgrain.kernels.elementwise.broadcasting import loop_fields, over_unrepeated


def _side(name: str, real: float) -> Fields:
    """The members that rescale one side."""
    multiplier, shift = quantize_multiplier(real)
    right, half, sign = rounding(min(shift, 0))
    return {
        f"{name}_left": max(shift, 0) + 1,
        f"{name}_multiplier": multiplier,
        f"{name}_shift": right,
        f"{name}_half": half,
        f"{name}_sign": sign,
    }


def _lower(view: View) -> Lowered:
    upper, lower = ratios(view)
    fields = {
        **loop_fields(view.input(0), view.input(1)),
        **_side("upper", upper),
        **_side("lower", lower),
        "a_zero_point": view.input(0).zero_point,
        "b_zero_point": view.input(1).zero_point,
        "out_zero_point": view.out.zero_point,
    }
    return lowered("prelu_s8", fields, TWO_INPUTS, sharing=over_unrepeated(view))


KERNEL = Kernel("prelu_s8", ("prelu",), _lower)
