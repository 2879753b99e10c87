"""The same elements under another shape: RESHAPE, SQUEEZE and EXPAND_DIMS. No code and no memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Shape, need, need_inputs, same_quant
from sandgrain.graph.ops.channels import Interval, Link, Mask, channels_of, every, rewrapped
from sandgrain.graph.ops.layout.movement import draw_tensor, like
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.traits import FIRST_INPUT


class Reshape(Op):
    name = "reshape"
    attributes = kinds(shape=[int])
    moves = True
    summary = "the same elements under another shape (no code)"
    foreign = (Foreign("RESHAPE", 22, 17, int16=True), Foreign("SQUEEZE", 43, int16=True), Foreign("EXPAND_DIMS", 70, int16=True))
    is_view = True
    same_scale_inputs = FIRST_INPUT

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape = tuple(attrs["shape"])
        if not all(isinstance(d, int) and d >= 0 for d in shape) or math.prod(shape) != inputs[0].size:
            raise ModelError(f"{inputs[0].size} elements do not fill the shape {shape}")
        return (shape,)

    def check(self, view: View) -> None:
        x, out = view.input(0), view.out
        if x.dtype != out.dtype:
            raise ModelError(f"{x.dtype} input and {out.dtype} output of a layer that only changes the shape")
        alike = same_quant(x, out) or (x.quant is None and out.quant is None)
        need(alike, "input and output are quantized differently, and only the shape changes; add a QUANTIZE layer")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (x.reshape(view.out.shape),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return (inputs[0].reshape(len(inputs[0]), *view.out.shape),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        return [rewrapped(known[0], channels_of(view.out))]

    def links(self, view: View) -> Sequence[Link] | None:
        """Element p lies in channel p mod channels on either side, where one count divides the other."""
        before, after = channels_of(view.input(0)), channels_of(view.out)
        if max(before, after) % min(before, after):
            return None
        channels = every(max(before, after))
        return [Link(0, channels % before, 0, channels % after)]

    def narrowed_attrs(self, view: View, kept: Sequence[Mask]) -> Mapping[str, Any]:
        return {"shape": (*view.out.shape[:-1], int(kept[0].sum()))} if view.out.shape else {}

    def passes_factors(self, view: View, channels: int) -> bool:
        return bool(view.out.shape) and view.out.shape[-1] % channels == 0

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        # The file's output tensor says the shape; the constant shape or axis beside the input says nothing more.
        need_inputs(inputs[:1], 1)
        if len(inputs) > 2 or len(outputs) != 1:
            raise ModelError(f"has {len(inputs)} inputs and {len(outputs)} outputs, needs 1 or 2 and 1")
        return Decoded(attrs(shape=outputs[0].shape), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded("RESHAPE", {}, (0, np.array(view.attrs["shape"], np.int32)))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw)
        shape = draw.choice(((1, x.size), (x.size,), (*x.shape, 1), (1, *x.shape), x.shape[::-1]))
        return one_op(self.name, (x,), (like(x, shape),), attrs(shape=shape))
