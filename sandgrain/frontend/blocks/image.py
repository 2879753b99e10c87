"""Blocks that bring a picture into the shape that a model takes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks.base import Block, Stage
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind


class _Picture(Block):
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)
    stage: ClassVar[Stage] = "image"


class Resize(_Picture):
    """Another size."""

    summary: ClassVar[str] = "another size, bilinear or by area"

    block: Literal["resize"] = "resize"
    height: int = Field(ge=1, le=4096, description="rows afterwards")
    width: int = Field(ge=1, le=4096, description="columns afterwards")
    method: Literal["bilinear", "area"] = Field("bilinear", description="area averages all that a pixel covers; for shrinking")

    def add(self, builder: Builder) -> None:
        builder.add("resize_image", dtype="uint8", size=(self.height, self.width), method=self.method)


class Crop(_Picture):
    """A part."""

    summary: ClassVar[str] = "a part of the picture, by default from its middle"

    block: Literal["crop"] = "crop"
    height: int = Field(ge=1, le=4096, description="rows kept")
    width: int = Field(ge=1, le=4096, description="columns kept")
    top: int | None = Field(None, ge=0, description="first row; by default the middle is kept")
    left: int | None = Field(None, ge=0, description="first column; by default the middle is kept")

    def add(self, builder: Builder) -> None:
        _, rows, columns, _ = builder.tensor.shape
        top = (rows - self.height) // 2 if self.top is None else self.top
        left = (columns - self.width) // 2 if self.left is None else self.left
        if top < 0 or left < 0 or top + self.height > rows or left + self.width > columns:
            raise UsageError(
                f"crop: {self.height} x {self.width} at ({top}, {left}) is not inside a picture of {rows} x {columns}"
            )
        builder.add("crop_image", dtype="uint8", box=(top, left, self.height, self.width))


class Grey(_Picture):
    """Brightness alone."""

    summary: ClassVar[str] = "colour to grey (ITU-R BT.601)"

    block: Literal["grey"] = "grey"
    order: Literal["rgb", "bgr"] = Field("rgb", description="of the channels that come in")

    def add(self, builder: Builder) -> None:
        builder.add("grey", order=self.order, dtype="uint8")


class Channels(_Picture):
    """Another order or packing of the colours."""

    summary: ClassVar[str] = "colour order: RGB to BGR and back, RGB565 to RGB"

    block: Literal["channels"] = "channels"
    convert: Literal["swap", "rgb565_le", "rgb565_be"] = Field(
        "swap", description="swap: RGB to BGR or back; or 16-bit pixels to RGB"
    )

    def add(self, builder: Builder) -> None:
        builder.add("channel_order", dtype="uint8", convert=self.convert)
