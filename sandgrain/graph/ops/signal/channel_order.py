"""The order and width of colour channels: RGB to BGR and back, and a camera's RGB565 to RGB.

RGB565 is two bytes a pixel, here an image of 2 channels: red in the highest 5 bits, then 6 green, then 5 blue. A level x of
n + 1 becomes the nearest of 256: 255 x / n, which the first and last level keep at black and white.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.image import WHITE, ImageOp, draw_image

CHANNELS = {"swap": 3, "rgb565_le": 2, "rgb565_be": 2}  # conversion -> channels of its input


class ChannelOrder(ImageOp):
    """Attribute `convert`: "swap" (RGB to BGR or back), "rgb565_le" or "rgb565_be" (low or high byte first) to RGB."""

    name = "channel_order"
    summary = "RGB to BGR and back, RGB565 to RGB"
    attributes = kinds(convert=str)

    def image_shape(self, shape: Shape, attrs: Attrs) -> Shape:
        convert = attrs["convert"]
        need(convert in CHANNELS, f"the conversion {convert}; use {', '.join(CHANNELS)}")
        need(shape[2] == CHANNELS[convert], f"{convert} of {shape[2]} channels; it needs {CHANNELS[convert]}")
        return shape[0], shape[1], 3

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, convert = inputs[0], view.attrs["convert"]
        assert x is not None
        if convert == "swap":
            return (np.ascontiguousarray(x[..., ::-1]),)
        word = np.ascontiguousarray(x).view("<u2" if convert == "rgb565_le" else ">u2")[..., 0].astype(np.int64)
        parts = ((word >> 11, 31), (word >> 5 & 63, 63), (word & 31, 31))
        return (np.stack([(WHITE * level + top // 2) // top for level, top in parts], axis=-1).astype(np.uint8),)

    def sample(self, draw: Draw) -> Graph:
        convert = draw.choice(tuple(CHANNELS))
        x = draw_image(draw, (CHANNELS[convert],))
        a = attrs(convert=convert)
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "uint8"),), a)
