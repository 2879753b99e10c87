"""Pictures: uint8 [height, width, channels]."""

from __future__ import annotations

from typing import ClassVar

from sandgrain.base.arrays import Array
from sandgrain.dataset import fingerprint, pictures, statistics
from sandgrain.dataset.kinds.base import Kind

FLAT = 2.0  # standard deviation, of 255
TINY = 16  # pixels of the longer side: too few for a network with many strides


class Image(Kind):
    """See the head of this file."""

    name: ClassVar[str] = "image"
    noun: ClassVar[str] = "images"
    windows: ClassVar[str] = "images"
    expected: ClassVar[str] = "an image"
    sampled: ClassVar[bool] = False
    near: ClassVar[float] = 0.997
    silent_rule: ClassVar[str] = f"standard deviation below {FLAT:g} of 255"
    unlike_advice: ClassVar[str] = "the images differ in size; bring them to one size first, a board's camera has one"
    shown: ClassVar[int] = 8
    shown_name: ClassVar[int] = 15
    variation: ClassVar[tuple[str, str, str]] = (
        "crop",
        "share = 0.125",
        "moved a little; flip, brightness and contrast are others",
    )

    def outline(self, samples: Array, rate: float) -> Array:
        """See `Kind.outline`."""
        return fingerprint.of_picture(samples)

    def is_silent(self, samples: Array, rate: float) -> bool:
        """Whether it has next to no contrast."""
        return bool(samples.std() < FLAT)

    def statistics(self, windows: Array) -> Array:
        """See `Kind.statistics`."""
        return statistics.of_picture(windows)

    def draw(self, samples: Array, rate: float) -> str:
        """The picture."""
        return pictures.photo(samples if samples.shape[2] in (1, 3) else samples[:, :, :1])

    def first_block(self, rate: float, shape: tuple[int, ...], whole: bool) -> list[str]:
        """The pixels of small pictures, others made smaller."""
        if max(shape[:2], default=0) <= 96:
            return ["[[features]]", 'block = "raw"  # the pixels themselves']
        return ["[[features]]", 'block = "resize"', "height = 96", "width = 96", 'method = "area"']

    def first_model(self, rate: float, shape: tuple[int, ...], whole: bool) -> str:
        """See `Kind.first_model`."""
        return "dscnn" if max(shape[:2], default=32) < TINY else "resnet8"


KIND = Image()
