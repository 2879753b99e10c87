"""What the ops on camera images share: their shapes, and division by a constant without a divide instruction.

Images are uint8 [1, height, width, channels], 1 to 4 channels; a value x stands for x / 255 of full scale, so they need no
quantization of their own. Their integer meanings are exact: a resized or weighted value is the nearest level to the exact
rational result, halves up.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import UINT8
from sandgrain.graph.ir import Attrs, Tensor, View
from sandgrain.graph.ops.base import Draw, Shape, need, need_dtype, need_inputs
from sandgrain.graph.ops.samples import SIZES
from sandgrain.graph.ops.signal.base import SignalOp

CHANNELS = 4  # the most an image has
WHITE = UINT8.high
MAX_SIDE = 4096  # pixels; the kernels' tables hold rows, byte offsets in a row and weights in 16 bits
MAX_DIVISOR = 1 << 22  # 255.5 times it fits int32, and its reciprocal too


class ImageOp(SignalOp):
    """An op that reads one image. `shapes` checks it and hands its (height, width, channels) to `image_shape`."""

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        return ((1, *self.image_shape(need_image(inputs[0]), attrs)),)

    def image_shape(self, shape: Shape, attrs: Attrs) -> Shape:
        """(height, width, channels) of the output. Raises ModelError or UnsupportedError."""
        return shape

    def check(self, view: View) -> None:
        need_dtype(view.out, "uint8")

    def fixed_scale(self, view: View) -> float:
        """One level of a pixel whose full scale is 1."""
        return 1.0 / WHITE


def need_image(tensor: Tensor | None) -> Shape:
    """(height, width, channels) of a uint8 image. Raises ModelError or UnsupportedError."""
    if tensor is None or len(tensor.shape) != 4 or tensor.shape[0] != 1:
        raise ModelError("needs an image of shape [1, height, width, channels]")
    need_dtype(tensor, "uint8")
    height, width, channels = tensor.shape[1:]
    need(channels <= CHANNELS, f"an image of {channels} channels; at most {CHANNELS}")
    need(max(height, width) <= MAX_SIDE, f"an image of {width} x {height}; at most {MAX_SIDE} a side")
    return height, width, channels


def reciprocal(divisor: int, largest: int) -> tuple[int, int, int]:
    """(multiplier, shift, wide) with n // divisor == (n * multiplier) >> shift for every 0 <= n <= `largest`.

    `wide` is 1 where the product needs 64 bits. With e = multiplier * divisor - 2^shift, the quotient is exact when
    largest * e < 2^shift (T. Granlund and P. L. Montgomery, "Division by Invariant Integers using Multiplication", 1994).
    """
    need(divisor < MAX_DIVISOR, f"weights that sum up to {divisor}; choose a size in a simpler ratio to the image's")
    shift = 0
    while largest * ((-(1 << shift)) % divisor) >= 1 << shift:
        shift += 1
    multiplier = -(-(1 << shift) // divisor)
    assert multiplier < 1 << 31
    return multiplier, shift, int(largest * multiplier >= 1 << 32)


def mean_fields(divisor: int) -> dict[str, int]:
    """Struct members that `sg_image.h` needs to divide a weighted sum of pixels by the sum of its weights."""
    half = divisor // 2
    multiplier, shift, wide = reciprocal(divisor, WHITE * divisor + half)
    return {"half": half, "multiplier": multiplier, "shift": shift, "wide": wide}


# --- test cases ----------------------------------------------------------------------------------------------------


def draw_image(draw: Draw, channels: Sequence[int] = (1, 2, 3, 4)) -> Tensor:
    return Tensor("x", (1, draw.choice(SIZES), draw.choice(SIZES), draw.choice(channels)), "uint8")
