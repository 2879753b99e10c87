"""Bilinear resizing of images."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.resize import Bilinear, sides
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, lowered
from sandgrain.kernels.signal.resizing_u8 import sharing, size_fields


def _lower(view: View) -> Fit:
    if view.attrs["method"] != "bilinear":
        return Refused(f"the method is {view.attrs['method']}")
    (in_h, out_h), (in_w, out_w) = sides(view)
    channels = view.out.shape[3]
    down, across = Bilinear.of(in_h, out_h), Bilinear.of(in_w, out_w)
    fields = {
        "row": down.first.astype(np.uint16),
        "down": down.weight.astype(np.uint16),
        "column": (across.first * channels).astype(np.uint16),
        "across": across.weight.astype(np.uint16),
        **size_fields(view, down.total * across.total),
        "below": in_w * channels if in_h > 1 else 0,
        "right": channels if in_w > 1 else 0,
        "down_sum": down.total,
        "across_sum": across.total,
    }
    return lowered("resize_bilinear_u8", fields, sharing=sharing(view))


KERNEL = Kernel("resize_bilinear_u8", ("resize_image",), _lower, "the method bilinear", ANY_CORE + 10)
