"""What both resizes of an NHWC tensor's height and width share: attributes `size` (height, width), `align_corners` and
`half_pixel_centers`; shapes, and both ways to .tflite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Attrs, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Op, Shape, constant_ints, need, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, through
from sandgrain.graph.ops.layout.movement import like
from sandgrain.graph.ops.samples import SIZES
from sandgrain.graph.ops.traits import FIRST_INPUT

MAX_SIDE = 1 << 16  # the kernels' tables hold uint16 positions
FLAGS = ("align_corners", "half_pixel_centers")


def per_side(view: View) -> list[tuple[int, int, bool, bool]]:
    """For height and width: (input side, output side, align_corners, half_pixel_centers)."""
    x, a = view.input(0), view.attrs
    return [(x.shape[k + 1], a["size"][k], a["align_corners"], a["half_pixel_centers"]) for k in (0, 1)]


class Resize(Op):
    """A resize of height and width."""

    attributes = kinds(size=(int, int), align_corners=bool, half_pixel_centers=bool)

    same_scale_inputs = FIRST_INPUT
    enlarges = True

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape, size = inputs[0].shape, attrs["size"]
        if len(shape) != 4 or len(size) != 2:
            raise ModelError(f"input {shape} needs 4 dimensions, the new size {tuple(size)} 2 values")
        for side in (*size, shape[1], shape[2]):
            need(0 < side <= MAX_SIDE, f"a side of {side}; resize from and to 1 to {MAX_SIDE}")
        return ((shape[0], size[0], size[1], shape[3]),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        return [known[0]]

    def links(self, view: View) -> Sequence[Link] | None:
        return through(view)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        size = tuple(constant_ints(inputs[1], "the new size"))
        return Decoded(attrs(size=size, **{key: bool(options[key]) for key in FLAGS}), (0,))

    def encode(self, view: View) -> Encoded:
        flags = {key: view.attrs[key] for key in FLAGS}
        return Encoded(self.foreign[0].name, flags, (0, np.array(view.attrs["size"], np.int32)))

    @staticmethod
    def draw_sizes(draw: Draw, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """`x` with other sides, and a size to resize it to."""
        x = like(x, (x.shape[0], draw.choice(SIZES), draw.choice(SIZES), x.shape[3]), "x")
        return x, (draw.choice((draw.integer(1, 20), 2 * x.shape[1])), draw.choice((draw.integer(1, 20), 2 * x.shape[2])))
