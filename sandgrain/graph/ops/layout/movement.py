"""What the ops that only move elements share: which tensors they take, axes, strided reads.

They copy bytes, so the element type matters only by its size, and input and output must be quantized alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION, ACTIVATIONS, FLOAT32, INT32, DType
from sandgrain.graph.ir import Tensor
from sandgrain.graph.ops.base import Draw, Shape, need, need_dtype, need_quantized, same_quant
from sandgrain.graph.ops.samples import draw_quant
from sandgrain.graph.ops.table.unary import draw_shape

DTYPES = (*ACTIVATIONS, INT32, FLOAT32)
MAX_RANK = 5  # dimensions of the strided kernels
MAX_BYTES = 2**31 - 1  # offsets are int32


def need_same_bytes(first: Tensor, *others: Tensor) -> None:
    """All tensors of one movable element type, quantized alike, not empty, small enough for 32-bit offsets."""
    for t in (first, *others):
        need_dtype(t, *DTYPES)
        if t.dtype != first.dtype:
            raise ModelError(f"{t.dtype} and {first.dtype} tensors in an op that copies elements")
        need(all(d > 0 for d in t.shape), f"a tensor of shape {t.shape} holds nothing; remove the layer")
        need(t.nbytes <= MAX_BYTES, f"a tensor of {t.nbytes} bytes is too large; the limit is 2 GiB")
        if t.dtype in ACTIVATIONS:
            need_quantized(t)
            need(
                same_quant(t, first),
                "input and output are quantized differently, and elements are only copied; add a QUANTIZE layer",
            )


def known_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front. Raises ModelError when it is not one of `rank` axes."""
    if not -rank <= axis < rank:
        raise ModelError(f"axis {axis} of a tensor with {rank} dimensions")
    return axis % rank


def single(values: Sequence[int], what: str) -> int:
    """The only value. Raises ModelError when there are more or none."""
    if len(values) != 1:
        raise ModelError(f"{what} has {len(values)} values, needs 1")
    return values[0]


def halves(shape: Shape, axis: int) -> tuple[int, int]:
    """(product of the extents before `axis`, product of those after it)."""
    return int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis + 1 :], dtype=np.int64))


def dense_strides(shape: Shape, item: int) -> tuple[int, ...]:
    """Bytes from one index to the next, axis by axis, of a dense tensor."""
    return tuple(item * int(np.prod(shape[k + 1 :], dtype=np.int64)) for k in range(len(shape)))


def draw_tensor(draw: Draw, ranks: tuple[int, ...] = (1, 2, 3, 4), dtypes: tuple[DType, ...] = (ACTIVATION, FLOAT32)) -> Tensor:
    """An input for `sample`: activations in most cases."""
    dtype = draw.choice((ACTIVATION, ACTIVATION, ACTIVATION, *dtypes))
    return Tensor("x", draw_shape(draw, ranks), dtype, draw_quant(draw) if dtype in ACTIVATIONS else None)


def like(x: Tensor, shape: Shape, name: str = "y") -> Tensor:
    """A tensor of `x`'s type and quantization."""
    return Tensor(name, shape, x.dtype, x.quant)
