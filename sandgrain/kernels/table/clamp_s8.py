"""Ops that only clamp, on any core: no table."""

from __future__ import annotations

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import same_quant
from sandgrain.graph.ops.elementwise import relu6
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Fit, Kernel, Lowered, Refused, lowered


def _lowered(view: View, low: int, high: int) -> Lowered:
    return lowered("clamp_s8", {"low": low, "high": high, "count": view.out.size}, sharing=OVER_INPUT)


def _lower_relu(view: View) -> Fit:
    if not same_quant(view.input(0), view.out):
        return Refused("input and output are quantized differently, so values are rescaled")
    return _lowered(view, view.out.zero_point, INT8.high)


def _lower_relu6(view: View) -> Lowered:
    return _lowered(view, *relu6.limits(view))


RELU = Kernel("clamp_s8", ("relu",), _lower_relu, "an output quantized as the input", ANY_CORE)
RELU6 = Kernel("clamp_s8", ("relu6",), _lower_relu6)
