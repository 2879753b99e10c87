"""float32 to int8, or int8 to int8 under another scale and zero point."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.graph.dtypes import ACTIVATIONS, FLOAT32
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Draw, Foreign, need_dtype, need_quantized
from sandgrain.graph.ops.samples import activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.table.unary import UnaryOp, draw_shape, rescale, split_multiplier
from sandgrain.graph.quantization import Int64, quantize


def _evaluate(view: View, x: Int64) -> Array:
    pair = split_multiplier(view.input(0).scale / view.out.scale)
    return rescale(x - view.input(0).zero_point, pair) + view.out.zero_point


def _from_integers(view: View) -> bool:
    return view.input(0).dtype in ACTIVATIONS


class Quantize(UnaryOp):
    name = "quantize"
    summary = "float32 or int8 to int8 under another scale and zero point"
    foreign = (Foreign("QUANTIZE", 114, version=2, int16=True),)
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = x  # to another scale, which real numbers do not have
        return result

    def check(self, view: View) -> None:
        need_dtype(view.input(0), *ACTIVATIONS, FLOAT32)
        if _from_integers(view):
            super().check(view)
        else:
            need_quantized(view.out)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, quant = inputs[0], view.out.quant
        assert x is not None and quant is not None
        return super().reference(view, inputs) if _from_integers(view) else (quantize(x, quant, view.out.dtype),)

    def sample(self, draw: Draw) -> Graph:
        if draw.choice((True, False)):
            return super().sample(draw)
        x = Tensor("x", draw_shape(draw), "float32")
        return one_op(self.name, (x,), (activation_tensor("y", x.shape, draw_quant(draw)),), attrs())
