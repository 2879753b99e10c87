"""Resize an image: bilinear, or the mean of the area that each output pixel covers.

Both are separable and both have rational weights, so all weights along a side are integers with one sum, and a result is
the exact weighted mean rounded once. Half-pixel centres: output pixel i of n lies at (i + 1/2) * size / n - 1/2, as in
TensorFlow's half_pixel_centers, torch's align_corners=False and OpenCV; positions outside are clamped. "area" is a box
filter as wide as an output pixel, as Pillow's BOX and OpenCV's INTER_AREA; it keeps what bilinear skips when an image shrinks
by more than 2. Weights are positive: nothing rings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.image import MAX_DIVISOR, MAX_SIDE, ImageOp, draw_image

METHODS = ("bilinear", "area")
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bilinear:
    """One side. Output i is pixel `first[i]` with weight `total - weight[i]` and the next one with `weight[i]`."""

    first: Counts
    weight: Counts
    total: int

    @classmethod
    def of(cls, size: int, out_size: int) -> Bilinear:
        # In units of 1 / (2 * out_size), reduced: ((2 i + 1) * size - out_size) / (2 * out_size).
        common = math.gcd(size, out_size)
        p, q = size // common, out_size // common
        place = np.clip((2 * np.arange(out_size) + 1) * p - q, 0, 2 * q * (size - 1))
        # The last pixel has no next one: it is the next one of the one before it.
        first = np.minimum(place // (2 * q), max(size - 2, 0))
        weight = place - first * 2 * q
        shared = math.gcd(2 * q, *(int(w) for w in weight))
        return cls(first, weight // shared, 2 * q // shared)

    def matrix(self, size: int) -> Counts:
        """[out_size, size]: the weights."""
        found = np.zeros((len(self.first), size), np.int64)
        outputs = np.arange(len(self.first))
        np.add.at(found, (outputs, self.first), self.total - self.weight)
        np.add.at(found, (outputs, np.minimum(self.first + 1, size - 1)), self.weight)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """One side that shrinks. An input pixel is `whole` wide, an output pixel `total`.

    Output i covers `head[i]` of pixel `first[i]`, all of the next `between[i]`, and `tail[i]` of one more.
    """

    first: Counts
    head: Counts
    between: Counts
    tail: Counts
    whole: int
    total: int

    @classmethod
    def of(cls, size: int, out_size: int) -> Area:
        common = math.gcd(size, out_size)
        p, q = size // common, out_size // common
        begin = np.arange(out_size) * p
        end = begin + p
        first, last = begin // q, (end - 1) // q
        head = np.minimum((first + 1) * q, end) - begin
        tail = np.where(last > first, end - last * q, 0)
        return cls(first, head, np.maximum(last - first - 1, 0), tail, q, p)

    def matrix(self, size: int) -> Counts:
        """[out_size, size]: the weights."""
        edges = np.arange(size) * self.whole
        begin = np.arange(len(self.first))[:, None] * self.total
        overlap = np.minimum(edges + self.whole, begin + self.total) - np.maximum(edges, begin)
        return np.asarray(np.maximum(overlap, 0), np.int64)

    def parts(self) -> npt.NDArray[np.uint16]:
        return np.stack([self.head, self.between, self.tail], axis=1).astype(np.uint16)


def sides(view: View) -> tuple[tuple[int, int], tuple[int, int]]:
    """(input, output) size of the height and of the width."""
    (_, in_h, in_w, _), (_, out_h, out_w, _) = view.input(0).shape, view.out.shape
    return (in_h, out_h), (in_w, out_w)


def weights_of(view: View) -> tuple[Bilinear | Area, Bilinear | Area]:
    make = Bilinear.of if view.attrs["method"] == "bilinear" else Area.of
    return make(*sides(view)[0]), make(*sides(view)[1])


def shrinks(view: View) -> bool:
    return all(out <= size for size, out in sides(view))


class ResizeImage(ImageOp):
    """Attributes: `size` (height, width) of the output; `method`, one of METHODS."""

    name = "resize_image"
    summary = "bilinear or area resize of a uint8 image"
    attributes = kinds(method=str, size=(int, int))

    def image_shape(self, shape: Shape, attrs: Attrs) -> Shape:
        size = attrs["size"]
        if len(size) != 2 or not all(1 <= s <= MAX_SIDE for s in size):
            raise ModelError(f"a new size of {tuple(size)}; give (height, width), 1 to {MAX_SIDE} each")
        return size[0], size[1], shape[2]

    def check(self, view: View) -> None:
        super().check(view)
        method = view.attrs["method"]
        need(method in METHODS, f"resize by {method}; use {' or '.join(METHODS)}")
        need(method == "bilinear" or shrinks(view), "area needs a size that is not larger than the image's; use bilinear")
        down, across = weights_of(view)
        divisor = down.total * across.total
        need(divisor < MAX_DIVISOR, f"weights that sum up to {divisor}; choose a size in a simpler ratio to the image's")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        (in_h, _), (in_w, _) = sides(view)
        down, across = weights_of(view)
        # Integers below 2^53 are exact in float64, in any order, and its matrix product is fast.
        rows = np.tensordot(down.matrix(in_h).astype(np.float64), x[0].astype(np.float64), axes=(1, 0))
        sums = np.tensordot(across.matrix(in_w).astype(np.float64), rows, axes=(1, 1)).transpose(1, 0, 2).astype(np.int64)
        divisor = down.total * across.total
        return (((sums + divisor // 2) // divisor).astype(np.uint8).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        return 4 * view.out.size if view.attrs["method"] == "bilinear" else view.input(0).size

    def sample(self, draw: Draw) -> Graph:
        x = draw_image(draw)
        divisors = [[d for d in range(1, s + 1) if s % d == 0] for s in x.shape[1:3]]
        size = draw.choice(
            (
                tuple(draw.choice(d) for d in divisors),
                tuple(max(1, s // 2) for s in x.shape[1:3]),
                (draw.integer(1, 20), draw.integer(1, 20)),
                tuple(draw.integer(1, s) for s in x.shape[1:3]),
            )
        )
        shrinks = all(out <= side for out, side in zip(size, x.shape[1:3], strict=True))
        a = attrs(size=size, method=draw.choice(METHODS if shrinks else METHODS[:1]))
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "uint8"),), a)
