"""Cut a tensor into equal parts along one axis: as many outputs as parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import FLOAT32, INT32
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, constant_ints, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, channels_of, every
from sandgrain.graph.ops.layout.movement import draw_tensor, known_axis, like, need_same_bytes, single
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.traits import FIRST_INPUT


class Split(Op):
    name = "split"
    attributes = kinds(axis=int, parts=int)
    moves = True
    summary = "equal parts along one axis"
    same_scale_inputs = FIRST_INPUT
    foreign = (Foreign("SPLIT", 49, 35, (Option("num_splits", 0, "i32"),), version=2, int16=True),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape, parts = inputs[0].shape, attrs["parts"]
        axis = known_axis(attrs["axis"], len(shape))
        if parts < 1 or shape[axis] % parts:
            raise ModelError(f"{shape[axis]} elements along axis {axis} cannot be cut into {parts} equal parts")
        part: Shape = (*shape[:axis], shape[axis] // parts, *shape[axis + 1 :])
        return (part,) * int(parts)

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), *view.outputs)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return tuple(np.ascontiguousarray(part) for part in np.split(x, view.attrs["parts"], view.attrs["axis"]))

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return np.split(inputs[0], view.attrs["parts"], view.attrs["axis"] + 1)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        if view.attrs["axis"] % len(view.input(0).shape) != len(view.input(0).shape) - 1:
            return [known[0]] * len(view.outputs)
        lows, highs = (np.split(end, len(view.outputs)) for end in known[0])
        return [Interval(low, high) for low, high in zip(lows, highs, strict=True)]

    def links(self, view: View) -> Sequence[Link] | None:
        """The parts must stay equally long, so along the last axis channel c of each part goes with channel c of the others."""
        last, count = len(view.input(0).shape) - 1, channels_of(view.outputs[0])
        channels = every(count)
        if view.attrs["axis"] % (last + 1) != last:
            return [Link(0, channels, k, channels) for k in range(len(view.outputs))]
        parts = range(len(view.outputs))
        return [Link(0, channels + k * count, part, channels) for k in parts for part in parts]

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        assert inputs[1] is not None
        axis = known_axis(single(constant_ints(inputs[0], "the axis"), "the axis"), len(inputs[1].shape))
        if options["num_splits"] != len(outputs):
            raise ModelError(f"{options['num_splits']} parts for {len(outputs)} outputs")
        return Decoded(attrs(axis=axis, parts=len(outputs)), (1,))

    def encode(self, view: View) -> Encoded:
        return Encoded("SPLIT", {"num_splits": len(view.outputs)}, (np.array(view.attrs["axis"], np.int32), 0))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw, dtypes=(INT32, FLOAT32))
        axis = draw.integer(0, len(x.shape) - 1)
        parts = draw.integer(1, 4)
        x = like(x, (*x.shape[:axis], x.shape[axis] * parts, *x.shape[axis + 1 :]), "x")
        a = attrs(axis=axis, parts=parts)
        return one_op(self.name, (x,), [like(x, s, f"y{k}") for k, s in enumerate(self.shapes((x,), a))], a)
