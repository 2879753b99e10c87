"""Slices of a tensor along one axis, chosen by int32 positions: an embedding where the tensor is a table of rows.

A position outside the axis counts as the nearest one inside, so that no input makes the firmware read elsewhere (TensorFlow Lite
Micro stops there).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, need, need_dtype, need_inputs
from sandgrain.graph.ops.layout.movement import draw_tensor, known_axis, like, need_same_bytes
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.table.unary import draw_shape
from sandgrain.graph.ops.traits import FIRST_INPUT


def choices(graph: Graph, index: int) -> int | None:
    """Among how many slices the positions in graph input `index` choose; None where no layer takes them for positions."""
    found = [graph.tensors[n.inputs[0]].shape[n.attrs["axis"]] for n in graph.nodes if n.op == "gather" and n.inputs[1] == index]
    return min(found, default=None)


class Gather(Op):
    """Attribute `axis`, counted from the front. Inputs: the tensor, and positions of any shape, which takes the axis's place."""

    name = "gather"
    attributes = kinds(axis=int)
    moves = True
    summary = "slices along one axis at int32 positions: embeddings"
    indices_in = (1,)
    same_scale_inputs = FIRST_INPUT
    foreign = (Foreign("GATHER", 36, 23, (Option("axis", 0, "i32"), Option("batch_dims", 1, "i32"))),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 2)
        x, at = inputs
        assert x is not None and at is not None
        axis = attrs["axis"]
        if not 0 <= axis < len(x.shape):
            raise ModelError(f"axis {axis} of a tensor with {len(x.shape)} dimensions")
        return ((*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]),)

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), view.out)
        need_dtype(view.input(1), "int32")
        at, extent = view.input(1).data, view.input(0).shape[view.attrs["axis"]]
        outside: list[int] = [] if at is None else at[(at < 0) | (at >= extent)].tolist()
        if outside:
            raise ModelError(f"the constant index {outside[0]} of {extent}; use indices from 0 to {extent - 1}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, at = inputs
        assert x is not None and at is not None
        axis = view.attrs["axis"]
        return (x.take(np.clip(at.astype(np.int64), 0, x.shape[axis] - 1), axis).reshape(view.out.shape),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        axis, (x, at) = view.attrs["axis"], inputs
        inside = np.clip(at, 0, x.shape[axis + 1] - 1)
        if len(inside) == 1:
            return (x.take(inside[0], axis + 1),)
        wide = np.broadcast_to(x, (len(inside), *x.shape[1:]))
        return (np.stack([row.take(k, axis) for row, k in zip(wide, inside, strict=True)]),)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        assert inputs[0] is not None
        need(options["batch_dims"] == 0, "a gather with batch dimensions; gather along one axis of the whole tensor")
        return Decoded(attrs(axis=known_axis(options["axis"], len(inputs[0].shape))), (0, 1))

    def encode(self, view: View) -> Encoded:
        return Encoded("GATHER", {"axis": view.attrs["axis"], "batch_dims": 0}, (0, 1))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw, (1, 2, 3))
        axis = draw.integer(0, len(x.shape) - 1)
        shape = draw_shape(draw, (1, 1, 2))
        at = Tensor("at", shape, "int32")
        if draw.choice((True, False)):  # one of the two is a constant
            at = replace(at, data=draw.array(shape, 0, x.shape[axis] - 1, "int32"))
        else:
            x = replace(x, data=draw.array(x.shape, ACTIVATION.low, ACTIVATION.high, x.dtype.name))
        a = attrs(axis=axis)
        return one_op(self.name, (x, at), (like(x, self.shapes((x, at), a)[0]),), a)
