"""Resizing of images by whole factors: each output is the plain mean of a box."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.resize import sides
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, lowered
from sandgrain.kernels.signal.resizing_u8 import sharing, size_fields


def _lower(view: View) -> Fit:
    if any(size % out for size, out in sides(view)):
        return Refused("the sides do not shrink by whole factors")
    factors = [size // out for size, out in sides(view)]
    if view.attrs["method"] != "area" and max(factors) > 2:  # a bilinear factor of 2 is the mean of two pixels
        return Refused(f"bilinear by a factor of {max(factors)} skips pixels; a box takes all")
    fields = {**size_fields(view, factors[0] * factors[1]), "box_h": factors[0], "box_w": factors[1]}
    return lowered("resize_box_u8", fields, sharing=sharing(view))


KERNEL = Kernel("resize_box_u8", ("resize_image",), _lower, "whole factors; at most 2 where the method is bilinear", ANY_CORE)
