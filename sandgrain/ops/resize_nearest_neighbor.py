"""Nearest-neighbour resize of an NHWC tensor's height and width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sandgrain.errors import ModelError
from sandgrain.ir import ITEM_BYTES, Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.ops.base import (
    Call,
    Decoded,
    Draw,
    Encoded,
    Foreign,
    In,
    Kernel,
    Op,
    Option,
    Out,
    Shape,
    constant_ints,
    need,
    need_inputs,
)  # fmt: skip
from sandgrain.ops.lut import Fields
from sandgrain.ops.movement import draw_tensor, like, need_same_bytes
from sandgrain.ops.samples import SIZES, one_op

MAX_SIDE = 1 << 16  # the kernel's tables hold uint16 positions


def nearest(size: int, out_size: int, align_corners: bool, half_pixel_centers: bool) -> npt.NDArray[np.uint16]:
    """The input position for each output position along one axis, in TFLM's single-precision arithmetic."""
    if align_corners and out_size > 1:
        scale = np.float32(size - 1) / np.float32(out_size - 1)
    else:
        scale = np.float32(size) / np.float32(out_size)
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    exact = (np.arange(out_size).astype(np.float32) + offset) * scale
    whole = np.floor(exact)
    if align_corners:  # rounded, halves up; the fraction of a float is exact
        whole = whole + (exact - whole >= 0.5)
    positions: npt.NDArray[np.uint16] = np.clip(whole, 0, size - 1).astype(np.uint16)
    return positions


def _tables(view: View) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    x, a = view.input(0), view.attrs
    corners, centers = a["align_corners"], a["half_pixel_centers"]
    return nearest(x.shape[1], a["size"][0], corners, centers), nearest(x.shape[2], a["size"][1], corners, centers)


def _lower(view: View) -> tuple[Call, ...]:
    x, out = view.input(0), view.out
    row, column = _tables(view)
    fields: Fields = {
        "row": row, "column": column, "batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2],
        "out_h": out.shape[1], "out_w": out.shape[2], "pixel": x.shape[3] * ITEM_BYTES[x.dtype],
    }  # fmt: skip
    return (Call("portable/resize_nearest.h", fields, (In(0), Out(0))),)


class ResizeNearestNeighbor(Op):
    name = "resize_nearest_neighbor"
    summary = "nearest-neighbour resize of height and width"
    foreign = (
        Foreign(
            "RESIZE_NEAREST_NEIGHBOR", 97, 74,
            (Option("align_corners", 0, "bool", False), Option("half_pixel_centers", 1, "bool", False)), version=2,
        ),
    )  # fmt: skip
    kernels = (Kernel("resize_nearest", _lower),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape, size = inputs[0].shape, attrs["size"]
        if len(shape) != 4 or len(size) != 2:
            raise ModelError(f"input {shape} needs 4 dimensions, the new size {tuple(size)} 2 values")
        for side in (*size, shape[1], shape[2]):
            need(0 < side <= MAX_SIDE, f"a side of {side}; resize from and to 1 to {MAX_SIDE}")
        return ((shape[0], size[0], size[1], shape[3]),)

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), view.out)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        row, column = _tables(view)
        return (np.ascontiguousarray(x[:, row][:, :, column]),)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        size = tuple(constant_ints(inputs[1], "the new size"))
        flags = {key: bool(options[key]) for key in ("align_corners", "half_pixel_centers")}
        return Decoded(attrs(size=size, **flags), (0,))

    def encode(self, view: View) -> Encoded:
        a = view.attrs
        flags = {key: a[key] for key in ("align_corners", "half_pixel_centers")}
        return Encoded("RESIZE_NEAREST_NEIGHBOR", flags, (0, np.array(a["size"], np.int32)))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw, (4,))
        x = like(x, (x.shape[0], draw.choice(SIZES), draw.choice(SIZES), x.shape[3]), "x")
        size = (draw.choice((draw.integer(1, 20), 2 * x.shape[1])), draw.choice((draw.integer(1, 20), 2 * x.shape[2])))
        a = attrs(size=size, align_corners=draw.choice((True, False)), half_pixel_centers=draw.choice((True, False)))
        return one_op(self.name, (x,), (like(x, self.shapes((x,), a)[0]),), a)
