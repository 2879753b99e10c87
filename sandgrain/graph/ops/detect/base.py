"""What the ops of detectors share: rows of features, distances as int32, and that no file holds these ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.ir import Array, Attrs, Tensor, View
from sandgrain.graph.ops.base import Op, Shape, need, need_dtype, need_inputs
from sandgrain.graph.quantization import INT32_MAX, Int32, Int64

MAX_COMPONENTS = 64
MAX_ROWS = 1 << 15
SUM_LIMIT = 1 << 62  # a sum of squares stays below, so that half a unit can be added before it is shifted
MAX_BIAS = 1 << 30


class DetectOp(Op):
    """An op that no model file holds."""

    instead = "export the model without its detector"


def rows_of(size: int, attrs: Attrs) -> int:
    """How many rows of `depth` values, each `step` values after the one before, lie in `size` values; 0 when none does.

    A step below the depth makes rows that overlap: frames with their neighbours.
    """
    depth, step = attrs["depth"], attrs["step"]
    return 0 if depth > size or step < 1 else (size - depth) // step + 1


def rows(x: Array, attrs: Attrs) -> Int64:
    """int64 [rows, depth]: what `rows_of` counts."""
    flat = np.asarray(x, np.int64).reshape(-1)
    windows: Int64 = np.lib.stride_tricks.sliding_window_view(flat, attrs["depth"])[:: attrs["step"]]
    return windows


def triangle(depth: int) -> int:
    """Values of a matrix on and below its diagonal."""
    return depth * (depth + 1) // 2


def distance_shape(inputs: Sequence[Tensor | None], attrs: Attrs, components: int) -> tuple[Shape, ...]:
    """[rows, components], after checking that there are some of both."""
    need_inputs(inputs, 2, 5)
    x = inputs[0]
    assert x is not None
    count = rows_of(x.size, attrs)
    if not (1 <= count <= MAX_ROWS and 1 <= components <= MAX_COMPONENTS):
        raise ModelError(
            f"{count} rows of {attrs['depth']} values in {x.size}, {components} components; "
            f"1 to {MAX_ROWS} rows and 1 to {MAX_COMPONENTS} components work"
        )
    return ((count, components),)


def check_distance(view: View, bias: Array) -> None:
    """int8 input, int32 output; a shift and biases that leave room."""
    need_dtype(view.input(0), *ACTIVATIONS)
    need_dtype(view.out, "int32")
    need(0 <= view.attrs["shift"] <= 62, f"a shift of {view.attrs['shift']}; 0 to 62 work")
    need(bool(((bias >= 0) & (bias <= MAX_BIAS)).all()), f"a bias below 0 or beyond {MAX_BIAS}")


def constant(view: View, index: int, dtype: str, size: int) -> Array:
    """Constant input `index` with this dtype and number of values. Raises ModelError or UnsupportedError."""
    tensor = view.input(index)
    need_dtype(tensor, dtype)
    if tensor.data is None:
        raise UnsupportedError("a detector's table is computed at run time; make it a constant")
    if tensor.size != size:
        raise ModelError(f"a table of {tensor.size} values where {size} are needed")
    return tensor.data


def energy(total: Int64, bias: Array, shift: int) -> Int32:
    """Sums of squares (0 <= total < SUM_LIMIT) to distances: rounded, with the bias, saturated. C: `sg_energy.h`."""
    half = (1 << shift) >> 1
    wide = (np.asarray(total, np.int64) + half) >> shift
    saturated: Int32 = np.minimum(wide + bias.astype(np.int64), INT32_MAX).astype(np.int32)
    return saturated
