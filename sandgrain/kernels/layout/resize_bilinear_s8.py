"""Bilinear resize of an NHWC tensor's height and width."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.layout.resize_bilinear import shares
from sandgrain.graph.ops.layout.resizing import per_side
from sandgrain.kernels.base import Kernel, Lowered, lowered
from sandgrain.kernels.layout.resize_nearest import resize_fields


def _lower(view: View) -> Lowered:
    (row, below), (column, right) = (shares(*side) for side in per_side(view))
    tables = {"row": row, "below": below, "column": column, "right": right}
    narrow = {name: table.astype(np.uint16) for name, table in tables.items()}
    return lowered("resize_bilinear_s8", resize_fields(view, view.out.shape[3], narrow))


KERNEL = Kernel("resize_bilinear_s8", ("resize_bilinear",), _lower)
