"""Nearest-neighbour resize of an NHWC tensor's height and width."""

from __future__ import annotations

from collections.abc import Mapping

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.layout.resize_nearest_neighbor import nearest
from sandgrain.graph.ops.layout.resizing import per_side
from sandgrain.kernels.base import Fields, Kernel, Lowered, lowered


def resize_fields(view: View, pixel: int, tables: Mapping[str, Array]) -> Fields:
    """The tables, the sizes, and `pixel`: elements or bytes of one."""
    x, out = view.input(0), view.out
    return {
        **tables,
        "batch": x.shape[0],
        "in_h": x.shape[1],
        "in_w": x.shape[2],
        "out_h": out.shape[1],
        "out_w": out.shape[2],
        "pixel": pixel,
    }


def _lower(view: View) -> Lowered:
    row, column = (nearest(*side) for side in per_side(view))
    x = view.input(0)
    return lowered("resize_nearest", resize_fields(view, x.shape[3] * x.dtype.item_bytes, {"row": row, "column": column}))


KERNEL = Kernel("resize_nearest", ("resize_nearest_neighbor",), _lower)
