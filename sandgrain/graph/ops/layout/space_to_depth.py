"""Squares of pixels as the channels of one pixel."""

from __future__ import annotations

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError
from sandgrain.graph.ops.base import Foreign, Shape
from sandgrain.graph.ops.layout.pixel_blocks import OPTIONS, Blocks


class SpaceToDepth(Blocks):
    name = "space_to_depth"
    summary = "squares of pixels as the channels of one pixel"
    foreign = (Foreign("SPACE_TO_DEPTH", 26, 19, OPTIONS),)
    deepens = True

    @staticmethod
    def moved(shape: Shape, block: int) -> Shape:
        n, height, width, channels = shape
        if height % block or width % block:
            raise ModelError(f"an image of {height}x{width} cannot be cut into squares of {block}")
        return n, height // block, width // block, channels * block * block

    def move(self, x: Array, block: int) -> Array:
        n, height, width, channels = x.shape
        squares = x.reshape(n, height // block, block, width // block, block, channels)
        return squares.transpose(0, 1, 3, 2, 4, 5).reshape(self.moved(x.shape, block))
