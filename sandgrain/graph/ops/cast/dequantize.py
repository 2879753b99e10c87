"""int8 to float32: scale * (x - zero_point), in single precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Shape, need_dtype, need_inputs, need_quantized
from sandgrain.graph.ops.samples import activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.table.unary import draw_shape
from sandgrain.graph.quantization import dequantize


class Dequantize(Op):
    name = "dequantize"
    summary = "int8 to float32"
    foreign = (Foreign("DEQUANTIZE", 6, version=2),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        return (inputs[0].shape,)

    def check(self, view: View) -> None:
        need_quantized(view.input(0))
        need_dtype(view.out, "float32")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, quant = inputs[0], view.input(0).quant
        assert x is not None and quant is not None
        return (dequantize(x, quant),)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 1)
        return Decoded(attrs(), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded("DEQUANTIZE")

    def sample(self, draw: Draw) -> Graph:
        x = activation_tensor("x", draw_shape(draw), draw_quant(draw, 0.0001, 3.0))
        return one_op(self.name, (x,), (Tensor("y", x.shape, "float32"),), attrs())
