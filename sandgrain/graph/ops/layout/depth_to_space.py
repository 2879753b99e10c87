"""The channels of one pixel as a square of pixels."""

from __future__ import annotations

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError
from sandgrain.graph.ops.base import Foreign, Shape
from sandgrain.graph.ops.layout.pixel_blocks import OPTIONS, Blocks


class DepthToSpace(Blocks):
    name = "depth_to_space"
    summary = "the channels of one pixel as a square of pixels"
    foreign = (Foreign("DEPTH_TO_SPACE", 5, 94, OPTIONS),)
    deepens = False

    @staticmethod
    def moved(shape: Shape, block: int) -> Shape:
        n, height, width, channels = shape
        if channels % (block * block):
            raise ModelError(f"{channels} channels cannot fill squares of {block}x{block} pixels")
        return n, height * block, width * block, channels // (block * block)

    def move(self, x: Array, block: int) -> Array:
        n, height, width, channels = x.shape
        squares = x.reshape(n, height, width, block, block, channels // (block * block))
        return squares.transpose(0, 1, 3, 2, 4, 5).reshape(self.moved(x.shape, block))
