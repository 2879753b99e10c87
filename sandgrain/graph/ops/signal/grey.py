"""The luma of a colour image: 0.299 R + 0.587 G + 0.114 B, the weights of ITU-R BT.601 (section 2.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.image import ImageOp, draw_image

ORDERS = ("rgb", "bgr")
WEIGHTS = (19595, 38470, 7471)  # of 65536, rounded; they sum up to it. Pillow's convert("L") has the same.


def weights_of(view: View) -> tuple[int, ...]:
    """Of the input's channels, in units of 2^-16."""
    return WEIGHTS if view.attrs["order"] == "rgb" else WEIGHTS[::-1]


class Grey(ImageOp):
    """Attribute `order`: of the input's channels, one of ORDERS."""

    name = "grey"
    summary = "the luma of a uint8 colour image"
    attributes = kinds(order=str)

    def image_shape(self, shape: Shape, attrs: Attrs) -> Shape:
        need(shape[2] == 3, f"grey from {shape[2]} channels; it needs 3")
        return shape[0], shape[1], 1

    def check(self, view: View) -> None:
        super().check(view)
        need(view.attrs["order"] in ORDERS, f"channels in the order {view.attrs['order']}; use {' or '.join(ORDERS)}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        sums = x.astype(np.int32) @ np.array(weights_of(view), np.int32)
        return ((sums + 0x8000 >> 16).astype(np.uint8).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        return 3 * view.out.size

    def sample(self, draw: Draw) -> Graph:
        x = draw_image(draw, (3,))
        a = attrs(order=draw.choice(ORDERS))
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "uint8"),), a)
