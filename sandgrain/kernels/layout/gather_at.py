"""Slices along one axis at int32 positions: embeddings."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.layout.movement import halves
from sandgrain.kernels.base import TWO_INPUTS, Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    x, at, axis = view.input(0), view.input(1), view.attrs["axis"]
    outer, inner = halves(x.shape, axis)
    fields = {"outer": outer, "axis": x.shape[axis], "count": at.size, "run": inner * x.dtype.item_bytes}
    return lowered("gather_at", fields, TWO_INPUTS)


KERNEL = Kernel("gather_at", ("gather",), _lower)
