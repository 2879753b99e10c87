"""Join tensors along one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION, ACTIVATIONS, FLOAT32, INT32
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, need, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, channels_of, every, hull
from sandgrain.graph.ops.conv.windows import ACTIVATION_OPTION
from sandgrain.graph.ops.layout.movement import draw_tensor, known_axis, like, need_same_bytes
from sandgrain.graph.ops.samples import SIZES, one_op
from sandgrain.graph.ops.traits import ALL_INPUTS


class Concatenation(Op):
    name = "concatenation"
    attributes = kinds(axis=int)
    moves = True
    summary = "tensors joined along one axis"
    same_scale_inputs = ALL_INPUTS
    enlarges = True
    foreign = (
        Foreign("CONCATENATION", 2, 10, (Option("axis", 0, "i32"), Option(ACTIVATION_OPTION, 1, "i8")), version=2, int16=True),
    )

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        tensors = [t for t in inputs if t is not None]
        if not tensors or len(tensors) != len(inputs):
            raise ModelError(f"has {len(tensors)} of {len(inputs)} inputs, needs all of them and at least 1")
        shape = tensors[0].shape
        axis = known_axis(attrs["axis"], len(shape))
        for t in tensors:
            if len(t.shape) != len(shape) or any(
                a != b for k, (a, b) in enumerate(zip(t.shape, shape, strict=True)) if k != axis
            ):
                raise ModelError(f"{t.shape} cannot be joined to {shape} along axis {axis}")
        return ((*shape[:axis], sum(t.shape[axis] for t in tensors), *shape[axis + 1 :]),)

    def check(self, view: View) -> None:
        need_same_bytes(view.out, *(view.input(k) for k in range(len(view.inputs))))

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        return (np.concatenate([x for x in inputs if x is not None], view.attrs["axis"]),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        n = max(len(x) for x in inputs)
        return (np.concatenate([np.broadcast_to(x, (n, *x.shape[1:])) for x in inputs], view.attrs["axis"] + 1),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        if view.attrs["axis"] % len(view.out.shape) == len(view.out.shape) - 1:
            return [Interval(np.concatenate([r.low for r in known]), np.concatenate([r.high for r in known]))]
        return [hull(*known)]

    def links(self, view: View) -> Sequence[Link] | None:
        rank = len(view.out.shape)
        links, start, inner = [], 0, view.attrs["axis"] % rank == rank - 1
        for k in range(len(view.inputs)):
            channels = every(channels_of(view.input(k)))
            links.append(Link(k, channels, 0, channels + start))
            start += len(channels) if inner else 0
        return links

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, max(len(inputs), 1))
        assert inputs[0] is not None
        need(options[ACTIVATION_OPTION] == 0, "a concatenation with a fused activation; use a separate layer")
        return Decoded(attrs(axis=known_axis(options["axis"], len(inputs[0].shape))), tuple(range(len(inputs))))

    def encode(self, view: View) -> Encoded:
        return Encoded("CONCATENATION", {"axis": view.attrs["axis"], ACTIVATION_OPTION: 0}, tuple(range(len(view.inputs))))

    def sample(self, draw: Draw) -> Graph:
        first = draw_tensor(draw, dtypes=(INT32, FLOAT32))
        axis = draw.integer(0, len(first.shape) - 1)
        tensors = [first]
        for k in range(draw.integer(0, 4)):
            shape = (*first.shape[:axis], draw.choice(SIZES), *first.shape[axis + 1 :])
            data = (
                draw.array(shape, ACTIVATION.low, ACTIVATION.high)
                if first.dtype in ACTIVATIONS and draw.choice((True, False, False, False))
                else None
            )
            tensors.append(Tensor(f"x{k + 1}", shape, first.dtype, first.quant, data))
        a = attrs(axis=axis)
        return one_op(self.name, tensors, (like(first, self.shapes(tensors, a)[0]),), a)
