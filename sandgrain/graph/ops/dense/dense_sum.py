"""The sums of a fully connected layer, as they are: int32 in units of input scale times weight scale, nothing rounded or clamped.

For a last layer whose outputs are numbers: 256 steps are too few where the numbers range widely.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Draw, Op, Shape, need, need_dtype, need_inputs, need_quantized
from sandgrain.graph.ops.conv.weights import bias_of, draw_weights, exact_matmul, reach_of
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import INT32_MAX


class DenseSum(Op):
    name = "dense_sum"
    summary = "fully connected layer whose sums come out as they are, int32"
    instead = "export the model without its last layer's sums"

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 3)
        x, weights, bias = inputs
        assert x is not None and weights is not None and bias is not None
        if len(weights.shape) != 2 or weights.size == 0 or x.size % weights.shape[1]:
            raise ModelError(
                f"{x.size} inputs and weights of shape {list(weights.shape)}; they must be [units, depth] of that depth"
            )
        if bias.size != weights.shape[0]:
            raise ModelError(f"{bias.size} biases for {weights.shape[0]} units")
        return ((x.size // weights.shape[1], weights.shape[0]),)

    def check(self, view: View) -> None:
        need_quantized(view.input(0))
        need_dtype(view.input(1), *ACTIVATIONS)
        need_dtype(view.input(2), "int32")
        need_dtype(view.out, "int32")
        need(
            view.input(1).data is not None and view.input(2).data is not None,
            "weights are computed at run time; make them constants",
        )
        need(int(reach_of(view, 0).max(initial=0)) <= INT32_MAX, "a sum can exceed 32 bits; the bias or the layer is too large")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, weights = inputs[0], view.const(1)
        assert x is not None
        rows = x.reshape(-1, weights.shape[1]).astype(np.int16) - view.input(0).zero_point
        sums = exact_matmul(rows, weights.T) + bias_of(view, len(weights))
        return (sums.reshape(view.out.shape).astype(np.int32),)

    def macs(self, view: View) -> int:
        return view.out.size * view.input(1).shape[1]

    def sample(self, draw: Draw) -> Graph:
        units, depth = draw.choice(SIZES), draw.choice((*SIZES, 33, 64))
        x = activation_tensor("x", (draw.choice((1, 1, 2, 3)), depth), draw_quant(draw))
        assert x.quant is not None
        weights, bias, _ = draw_weights(draw, (units, depth), 0, x.quant)
        a = attrs()
        return one_op(self.name, (x, weights, bias), (Tensor("y", self.shapes((x, weights, bias), a)[0], "int32"),), a)
