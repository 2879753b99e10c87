"""Permute the axes: output axis k is input axis perm[k]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Shape, constant_ints, need, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, all_alike, channels_of, through
from sandgrain.graph.ops.layout.movement import MAX_RANK, draw_tensor, like, need_same_bytes
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.traits import FIRST_INPUT


class Transpose(Op):
    name = "transpose"
    attributes = kinds(perm=[int])
    moves = True
    summary = "permuted axes, up to 5"
    same_scale_inputs = FIRST_INPUT
    foreign = (Foreign("TRANSPOSE", 39, version=2, int16=True),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape, perm = inputs[0].shape, attrs["perm"]
        if sorted(perm) != list(range(len(shape))):
            raise ModelError(f"{tuple(perm)} is not an order of the {len(shape)} axes")
        return (tuple(shape[p] for p in perm),)

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), view.out)
        need(len(view.out.shape) <= MAX_RANK, f"{len(view.out.shape)} dimensions; transpose at most {MAX_RANK}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (np.ascontiguousarray(x.transpose(view.attrs["perm"])).reshape(view.out.shape),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return (inputs[0].transpose(0, *(p + 1 for p in view.attrs["perm"])),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        perm = view.attrs["perm"]
        return [known[0] if not perm or perm[-1] == len(perm) - 1 else all_alike(known[0], channels_of(view.out))]

    def links(self, view: View) -> Sequence[Link] | None:
        perm = view.attrs["perm"]
        return through(view) if perm and perm[-1] == len(perm) - 1 else None

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        return Decoded(attrs(perm=tuple(constant_ints(inputs[1], "the order of the axes"))), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded("TRANSPOSE", {}, (0, np.array(view.attrs["perm"], np.int32)))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw, (1, 2, 3, 4, 5))
        axes = list(range(len(x.shape)))
        perm = tuple(axes.pop(draw.integer(0, len(axes) - 1)) for _ in range(len(axes)))
        return one_op(self.name, (x,), (like(x, tuple(x.shape[p] for p in perm)),), attrs(perm=perm))
