"""Matrix products over a batch on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import Shape
from sandgrain.graph.ops.dense.batch_matmul import MAX_RANK, matrix, multiplier_of
from sandgrain.graph.ops.layout.movement import dense_strides
from sandgrain.kernels.base import TWO_INPUTS, Fields, Kernel, Lowered, lowered


def strides(shape: Shape, swapped: bool) -> tuple[tuple[int, ...], int, int]:
    """(three batch strides, 0 where broadcast; row stride; column stride) in elements."""
    extended = (1,) * (MAX_RANK - len(shape)) + shape
    dense = dense_strides(extended, 1)
    batch = tuple(0 if n == 1 else s for n, s in zip(extended[:3], dense[:3], strict=True))
    row, column = dense[3:]
    return (batch, column, row) if swapped else (batch, row, column)


def product_fields(view: View) -> Fields:
    """The members that both kernels have."""
    x, y, out, a = view.input(0), view.input(1), view.out, view.attrs
    x_batch, x_row, _ = strides(x.shape, a["adj_x"])
    y_batch, y_depth, y_column = strides(y.shape, a["adj_y"])
    return {
        "batch": ((1,) * (MAX_RANK - len(out.shape)) + out.shape)[:3],
        "x_batch": x_batch,
        "y_batch": y_batch,
        "rows": out.shape[-2],
        "depth": matrix(x.shape, a["adj_x"])[1],
        "columns": out.shape[-1],
        "x_row": x_row,
        "y_depth": y_depth,
        "y_column": y_column,
        "x_offset": -x.zero_point,
        "y_offset": -y.zero_point,
        "out_zero_point": out.zero_point,
    }


def _lower(view: View) -> Lowered:
    multiplier, shift = multiplier_of(view)
    x_depth = strides(view.input(0).shape, view.attrs["adj_x"])[2]
    fields = product_fields(view) | {"x_depth": x_depth, "multiplier": multiplier, "shift": shift}
    return lowered("batch_matmul_s8", fields, TWO_INPUTS)


KERNEL = Kernel("batch_matmul_s8", ("batch_matmul",), _lower)
