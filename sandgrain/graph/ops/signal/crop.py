"""Cut a rectangle out of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.image import ImageOp, draw_image


def centred(shape: Sequence[int], size: Sequence[int]) -> tuple[int, int, int, int]:
    """The box (top, left, height, width) of `size` (height, width) in the middle of an image of `shape` (height, width, ...).

    Where the margins differ, the upper and the left one are a pixel smaller, as in TensorFlow's resize_with_crop_or_pad.
    Raises ModelError when the image is smaller.
    """
    (height, width), (rows, columns) = tuple(shape)[:2], tuple(size)
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ModelError(f"a crop of {columns} x {rows} from an image of {width} x {height}; make it smaller, or resize first")
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def squared(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """The largest square box (top, left, height, width) in the middle of an image of `shape` (height, width, ...)."""
    return centred(shape, (min(shape[:2]),) * 2)


class CropImage(ImageOp):
    """Attribute `box`: (top, left, height, width) in pixels."""

    name = "crop_image"
    summary = "a rectangle of a uint8 image"
    attributes = kinds(box=(int, int, int, int))

    def image_shape(self, shape: Shape, attrs: Attrs) -> Shape:
        top, left, height, width = attrs["box"]
        if min(top, left) < 0 or min(height, width) < 1 or top + height > shape[0] or left + width > shape[1]:
            place = f"a crop of {width} x {height} at column {left}, row {top}"
            raise ModelError(f"{place} leaves an image of {shape[1]} x {shape[0]}; choose a box inside")
        return height, width, shape[2]

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        top, left, height, width = view.attrs["box"]
        return (np.ascontiguousarray(x[:, top : top + height, left : left + width]),)

    def sample(self, draw: Draw) -> Graph:
        x = draw_image(draw)
        rows, columns = (draw.integer(1, s) for s in x.shape[1:3])
        corner = draw.integer(0, x.shape[1] - rows), draw.integer(0, x.shape[2] - columns)
        box = draw.choice(((*corner, rows, columns), centred(x.shape[1:], (rows, columns)), squared(x.shape[1:])))
        a = attrs(box=box)
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "uint8"),), a)
