"""Fully connected layer: rows of `units` weights, one multiplier in all or one a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, i8, need, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, Mask
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, check_weights, draw_weights, exact_matmul, finish
from sandgrain.graph.ops.elementwise.rescale import need_activation, need_multiplier
from sandgrain.graph.ops.real_math import bias_or_zero, finished, thinned
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.sum_bounds import dense_interval
from sandgrain.graph.ops.traits import Weight
from sandgrain.graph.quantization import Int32, quantize_multiplier


def multipliers(view: View, units: int) -> tuple[Int32, Array]:
    """Per unit (multiplier, shift). All in double precision."""
    if len(view.input(1).quant.scale) > 1:  # type: ignore[union-attr]
        return channel_multipliers(view, units)
    multiplier, shift = quantize_multiplier(_single_ratio(view))
    return np.full(units, multiplier, np.int32), i8(np.full(units, shift))


def _single_ratio(view: View) -> float:
    return view.input(0).scale * view.input(1).scale / view.out.scale


class FullyConnected(Op):
    name = "fully_connected"
    summary = "fully connected layer with a fused activation"
    attributes = kinds(activation=str, keep_num_dims=bool)
    activates = True
    weights = (Weight(),)
    foreign = (
        Foreign(
            "FULLY_CONNECTED",
            9,
            8,
            (Option(win.ACTIVATION_OPTION, 0, "i8"), Option("weights_format", 1, "i8"), Option("keep_num_dims", 2, "bool")),
            version=4,
            int16=True,
        ),
    )

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 2, 3)
        x, weights = inputs[0], inputs[1]
        assert x is not None and weights is not None
        if len(weights.shape) != 2 or weights.size == 0:
            raise ModelError(f"weights of shape {weights.shape}; they must be [units, depth], neither 0")
        units, depth = weights.shape
        if attrs["keep_num_dims"]:
            if not x.shape or x.shape[-1] != depth:
                raise ModelError(f"input {x.shape} does not end in the {depth} columns of the weights")
            return ((*x.shape[:-1], units),)
        if x.size % depth:
            raise ModelError(f"{x.size} inputs are not a multiple of the {depth} columns of the weights")
        return ((x.size // depth, units),)

    def check(self, view: View) -> None:
        check_weights(view, self.weights[0].channel_axis)
        scales = view.input(1).quant.scale  # type: ignore[union-attr]
        need(
            len(scales) == 1 or len(view.out.shape) == 2,
            "one scale a unit on an input of more than 2 dimensions; reshape the input to [batch, depth] first",
        )
        for scale in scales:
            need_multiplier(view.input(0).scale * scale / view.out.scale)
        if len(scales) == 1:
            need_multiplier(_single_ratio(view))
        need_activation(view.out, view.attrs["activation"])

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, weights = inputs[0], view.const(1)
        assert x is not None
        units, depth = weights.shape
        rows = x.reshape(-1, depth).astype(np.int16) - view.input(0).zero_point
        acc = exact_matmul(rows, weights.T) + bias_of(view, units)
        return (finish(view, acc, *multipliers(view, units)).reshape(view.out.shape),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        weights = view.const(1)
        return finished(view, len(inputs[0]), inputs[0].reshape(-1, weights.shape[1]) @ weights.T + bias_or_zero(view))

    def taps(self, view: View) -> tuple[Mask, Mask] | None:
        return np.array([True]), np.array([False])

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        taps = self.taps(view)
        return None if taps is None else [dense_interval(view, taps, known[0])]

    def links(self, view: View) -> Sequence[Link] | None:
        return []  # every output reads all input channels, and can go alone

    def columns(self, view: View, x: Array, limit: int) -> Array | None:
        return thinned(x.reshape(-1, view.const(1).shape[1]), limit)[None].astype(np.float64)

    def macs(self, view: View) -> int:
        return view.out.size * view.input(1).shape[1]

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2, 3)
        need(
            options["weights_format"] == 0, f"weights format {options['weights_format']} is not supported; use the default format"
        )
        # Some converters keep the dimensions without saying so; the output's rank tells.
        keep = bool(options["keep_num_dims"]) or (len(outputs) == 1 and len(outputs[0].shape) > 2)
        activation = win.activation(options[win.ACTIVATION_OPTION])
        return Decoded(attrs(activation=activation, keep_num_dims=keep), tuple(range(len(inputs))))

    def encode(self, view: View) -> Encoded:
        options = {
            win.ACTIVATION_OPTION: win.ACTIVATION_CODE[view.attrs["activation"]],
            "weights_format": 0,
            "keep_num_dims": view.attrs["keep_num_dims"],
        }
        return Encoded("FULLY_CONNECTED", options, tuple(range(len(view.inputs))))

    def sample(self, draw: Draw) -> Graph:
        units, depth = draw.choice(SIZES), draw.choice((*SIZES, 33, 64, 100))
        outer = draw.choice(((1,), (1,), (2,), (3,), (1, 1), (2, 3), (1, 2, 2), ()))
        x = activation_tensor("x", (*outer, depth), draw_quant(draw))
        assert x.quant is not None
        weights, bias, out_quant = draw_weights(draw, (units, depth), 0, x.quant)
        assert weights.quant is not None
        keep = len(outer) == 1 or (weights.quant.per_tensor and outer != () and draw.choice((True, False)))
        activation = draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))
        a = attrs(activation=activation, keep_num_dims=keep)
        y = activation_tensor("y", self.shapes((x, weights), a)[0], out_quant)
        return one_op(self.name, (x, weights, draw.choice((bias, None))), (y,), a)
