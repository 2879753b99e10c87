"""Resizing of images by the area that each output pixel covers."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.resize import Area, sides
from sandgrain.kernels.base import ANY_CORE, ONE_INPUT_AND_SCRATCH, Fields, Fit, Kernel, Refused, lowered
from sandgrain.kernels.signal.resizing_u8 import sharing, size_fields


def _lower(view: View) -> Fit:
    if view.attrs["method"] != "area":
        return Refused(f"the method is {view.attrs['method']}")
    (in_h, out_h), (in_w, out_w) = sides(view)
    channels = view.out.shape[3]
    down, across = Area.of(in_h, out_h), Area.of(in_w, out_w)
    sizes = size_fields(view, down.total * across.total)
    fields: Fields = {
        "column": (across.first * channels).astype("uint16"),
        "part": across.parts(),
        "in_h": in_h,
        **{name: value for name, value in sizes.items() if name != "out_h"},
        "next": channels if out_w < in_w else 0,
        "row_whole": down.whole,
        "row_total": down.total,
        "column_whole": across.whole,
    }
    scratch = view.out.shape[2] * channels * 4  # the sums of a row
    return lowered("resize_area_u8", fields, ONE_INPUT_AND_SCRATCH, scratch, sharing(view))


KERNEL = Kernel("resize_area_u8", ("resize_image",), _lower, "the method area", ANY_CORE + 20)
