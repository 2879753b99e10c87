"""A strided read of up to five dimensions: transposed axes, slices, squares of pixels."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.graph.ir import Tensor, View
from sandgrain.graph.ops.layout.movement import MAX_RANK, dense_strides
from sandgrain.kernels.base import Kernel, Lowered, lowered


def gather(tensor: Tensor, size: Sequence[int], stride: Sequence[int], start: int) -> Lowered:
    """Read `tensor` (input 0) from byte `start`, `size` elements by `stride` bytes along each axis, into output 0."""
    item = tensor.dtype.item_bytes
    merged: list[tuple[int, int]] = []
    for n, step in zip(size, stride, strict=True):
        if n == 1:
            continue
        if merged and merged[-1][1] == n * step:  # the two axes are one longer axis
            merged[-1] = (merged[-1][0] * n, step)
        else:
            merged.append((n, step))
    run = item
    if merged and merged[-1][1] == item:
        run *= merged.pop()[0]
    full = [(1, 0)] * (MAX_RANK - len(merged)) + merged
    fields = {"size": tuple(n for n, _ in full), "stride": tuple(s for _, s in full), "start": start, "run": run}
    return lowered("gather", fields)


def _transpose(view: View) -> Lowered:
    x, perm = view.input(0), view.attrs["perm"]
    strides = dense_strides(x.shape, x.dtype.item_bytes)
    return gather(x, view.out.shape, [strides[p] for p in perm], 0)


def _slice(view: View) -> Lowered:
    x, a = view.input(0), view.attrs
    strides = dense_strides(x.shape, x.dtype.item_bytes)
    start = sum(s * step for s, step in zip(a["start"], strides, strict=True))
    return gather(x, a["size"], [s * step for s, step in zip(a["stride"], strides, strict=True)], start)


def _squares(view: View) -> Lowered:
    """A strided read of (rows of squares, rows in a square, squares, what of a square lies in one run), in the output's order."""
    x, block = view.input(0), view.attrs["block"]
    deep = view.out if view.out.shape[3] > x.shape[3] else x
    n, height, width, channels = deep.shape
    item = x.dtype.item_bytes
    run = channels // block * item  # bytes of one row of a square: side by side on both sides
    size = [n * height, block, width, channels // block]
    stride = [block * width * run, run, block * run, item]  # in a deep input: rows of a square lie in one pixel
    if deep is view.out:
        stride[1], stride[2] = width * run, run  # in a flat input: they lie a row of the image apart
        size[1], size[2], stride[1], stride[2] = size[2], size[1], stride[2], stride[1]
    return gather(x, size, stride, 0)


TRANSPOSE = Kernel("gather", ("transpose",), _transpose)
SLICE = Kernel("gather", ("strided_slice",), _slice)
SQUARES = Kernel("gather", ("depth_to_space", "space_to_depth"), _squares)
