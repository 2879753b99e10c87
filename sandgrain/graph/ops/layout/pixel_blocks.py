"""What depth_to_space and space_to_depth share: squares of `block` pixels on one side, their channels in one pixel on the other.

On the deep side a pixel's channels are (row in the square, column in the square, channel).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Op, Option, Shape, need, need_inputs
from sandgrain.graph.ops.layout.movement import MAX_BYTES, draw_tensor, like, need_same_bytes
from sandgrain.graph.ops.real_math import flat
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.traits import FIRST_INPUT

OPTIONS = (Option("block_size", 0, "i32"),)


class Blocks(Op):
    """Attribute `block`: pixels along a side of a square."""

    attributes = kinds(block=int)

    same_scale_inputs = FIRST_INPUT
    moves = True
    deepens: ClassVar[bool]  # squares become channels

    @staticmethod
    @abstractmethod
    def moved(shape: Shape, block: int) -> Shape:
        """The output's shape. Raises ModelError when squares do not fill the input."""

    @abstractmethod
    def move(self, x: Array, block: int) -> Array:
        """The op on `x` [n, h, w, c]."""

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        if len(inputs[0].shape) != 4:
            raise ModelError(f"input {inputs[0].shape} needs 4 dimensions")
        need(0 < attrs["block"] < MAX_BYTES, f"a block of {attrs['block']}; use 1 or more")
        return (self.moved(inputs[0].shape, attrs["block"]),)

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), view.out)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        assert inputs[0] is not None
        return (np.ascontiguousarray(self.move(inputs[0], view.attrs["block"])),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x = inputs[0]
        return (np.asarray(self.move(flat(x), view.attrs["block"]).reshape(len(x), *view.out.shape), np.float32),)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 1)
        return Decoded(attrs(block=options["block_size"]), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded(self.foreign[0].name, {"block_size": view.attrs["block"]})

    def sample(self, draw: Draw) -> Graph:
        x, a = draw_tensor(draw, (4,)), attrs(block=draw.choice((1, 2, 2, 3, 4)))
        flat = (x.shape[0], draw.integer(1, 3) * a["block"], draw.integer(1, 4) * a["block"], draw.choice((1, 2, 3, 5)))
        deep = (flat[0], flat[1] // a["block"], flat[2] // a["block"], flat[3] * a["block"] ** 2)
        x = like(x, flat if self.deepens else deep, "x")
        return one_op(self.name, (x,), (like(x, self.shapes((x,), a)[0]),), a)
