"""Index of the largest element along one axis, the first of equals; that axis goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import (
    Decoded,
    Draw,
    Encoded,
    Foreign,
    Op,
    Option,
    Shape,
    constant_ints,
    need,
    need_dtype,
    need_inputs,
)
from sandgrain.graph.ops.layout.movement import known_axis, single
from sandgrain.graph.ops.samples import activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.table.unary import draw_shape

INT32 = 2  # .tflite TensorType


class ArgMax(Op):
    name = "arg_max"
    summary = "index of the largest element along one axis, as int32"
    attributes = kinds(axis=int)
    indices_out = True
    foreign = (Foreign("ARG_MAX", 56, 40, (Option("output_type", 0, "i8"),), version=2),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape = inputs[0].shape
        axis = known_axis(attrs["axis"], len(shape))
        return ((*shape[:axis], *shape[axis + 1 :]),)

    def check(self, view: View) -> None:
        need_dtype(view.input(0), *ACTIVATIONS)
        need(view.out.dtype == "int32", f"{view.out.dtype} indices; ask for int32 (output_type)")
        need(all(d > 0 for d in view.input(0).shape), f"a tensor of shape {view.input(0).shape} has no largest element")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (np.asarray(x.argmax(axis=view.attrs["axis"]), np.int32).reshape(view.out.shape),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        found = inputs[0].argmax(axis=view.attrs["axis"] + 1).astype(np.int32)
        return (found.reshape(len(inputs[0]), *view.out.shape),)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        assert inputs[0] is not None
        return Decoded(
            attrs(axis=known_axis(single(constant_ints(inputs[1], "the axis"), "the axis"), len(inputs[0].shape))), (0,)
        )

    def encode(self, view: View) -> Encoded:
        return Encoded("ARG_MAX", {"output_type": INT32}, (0, np.array(view.attrs["axis"], np.int32)))

    def sample(self, draw: Draw) -> Graph:
        x = activation_tensor("x", draw_shape(draw, (2, 3, 4)), draw_quant(draw))
        a = attrs(axis=draw.integer(0, len(x.shape) - 1))
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "int32"),), a)
