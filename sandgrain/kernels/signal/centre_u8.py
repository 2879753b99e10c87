"""Pixels to int8 where that is x - 128."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.image_normalize import affine
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Fit, Kernel, Refused, lowered


def _lower(view: View) -> Fit:
    factors, offsets, shift = affine(view)
    one = 1 << shift
    if set(factors) != {one} or set(offsets) != {(one >> 1) - 128 * one}:
        return Refused("mean, std and the output's quantization do not come to x - 128")
    return lowered("centre_u8", {"count": view.out.size}, sharing=OVER_INPUT)


KERNEL = Kernel("centre_u8", ("image_normalize",), _lower, "mean, std and quantization that come to x - 128", ANY_CORE)
