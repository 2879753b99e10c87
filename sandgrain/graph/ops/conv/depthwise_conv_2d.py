"""Depthwise 2-D convolution: NHWC input, 1HWO weights, each input channel makes `multiplier` output channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Option, Shape
from sandgrain.graph.ops.channels import Interval, Link, Mask, channels_of, every
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.convolution import Convolution
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, draw_weights, finish
from sandgrain.graph.ops.real_math import bias_or_zero, finished, flat
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.sum_bounds import depthwise_interval, window_taps
from sandgrain.graph.ops.traits import Weight


class DepthwiseConv2D(Convolution):
    name = "depthwise_conv_2d"
    summary = "depthwise 2-D convolution, any multiplier, dilated, with a fused activation"
    foreign = (
        Foreign(
            "DEPTHWISE_CONV_2D", 4, 2,
            (*win.STRIDE_OPTIONS, Option("depth_multiplier", 3, "i32"), Option(win.ACTIVATION_OPTION, 4, "i8"),
             Option("dilation_w_factor", 5, "i32", 1), Option("dilation_h_factor", 6, "i32", 1)),
            version=3, int16=True,
        ),
    )  # fmt: skip

    weights = (Weight(channel_axis=3, depthwise=True),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        x, weights = self.operands(inputs)
        if weights.shape[0] != 1:
            raise ModelError(f"weights {weights.shape} must be [1, h, w, channels]")
        if x.shape[3] < 1 or weights.shape[3] < 1 or weights.shape[3] % x.shape[3]:
            raise ModelError(f"{weights.shape[3]} weight channels are not a multiple of {x.shape[3]} input channels")
        return (self.window(x.shape, weights.shape[1:3], weights.shape[3], attrs),)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, weights = inputs[0], view.const(1)[0].astype(np.int64)
        assert x is not None
        zero, multiplier = view.input(0).zero_point, weights.shape[2] // x.shape[3]
        windows = win.patches(x, weights.shape[:2], view.attrs["stride"], view.attrs["dilation"], view.attrs["padding"], zero)
        n, oh, ow = windows.shape[:3]
        acc = np.zeros((n, oh, ow, weights.shape[2]), np.int64) + bias_of(view, weights.shape[2])
        for ky in range(weights.shape[0]):
            for kx in range(weights.shape[1]):
                taps = windows[:, :, :, ky, kx, :].astype(np.int64) - zero
                acc += np.repeat(taps, multiplier, axis=3) * weights[ky, kx]
        return (finish(view, np.asarray(acc, np.int64), *channel_multipliers(view, weights.shape[2])),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x, weights, a = flat(inputs[0]), view.const(1)[0], view.attrs
        repeated = np.repeat(x, weights.shape[2] // x.shape[3], axis=3)
        windows = win.patches(repeated, weights.shape[:2], a["stride"], a["dilation"], a["padding"], 0)
        total = np.zeros((*windows.shape[:3], weights.shape[2]), np.float32) + bias_or_zero(view)
        for ky, kx in np.ndindex(*weights.shape[:2]):
            total += windows[:, :, :, ky, kx, :] * weights[ky, kx]
        return finished(view, len(inputs[0]), total)

    def taps(self, view: View) -> tuple[Mask, Mask] | None:
        return window_taps(view)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        return [depthwise_interval(view, window_taps(view), known[0])]

    def links(self, view: View) -> Sequence[Link] | None:
        """All outputs of an input channel go with it. A single input channel is simply read: any of its outputs can go alone."""
        channels, count = channels_of(view.input(0)), channels_of(view.out)
        return [] if channels == 1 else [Link(0, every(count) // (count // channels), 0, every(count))]

    def columns(self, view: View, x: Array, limit: int) -> Array | None:
        rows = self.window_rows(view, x, limit)
        return rows.reshape(len(rows), -1, rows.shape[3]).transpose(2, 0, 1).astype(np.float64)

    def macs(self, view: View) -> int:
        return view.out.size * int(np.prod(view.input(1).shape[1:3]))

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        decoded = super().decode(name, options, inputs, outputs)
        x, weights = self.operands(inputs)
        said, there = options["depth_multiplier"], weights.shape[3] // x.shape[3]
        if said != there:
            raise ModelError(
                f"depth_multiplier {said} for {weights.shape[3]} outputs of {x.shape[3]} channels; export the model again"
            )
        return decoded

    def encode(self, view: View) -> Encoded:
        # The depth multiplier is the ratio of the channel counts; the option repeats it and old files leave it 0.
        options = {**self.options(view), "depth_multiplier": view.input(1).shape[3] // view.input(0).shape[3]}
        # TensorFlow Lite Micro reads a third input without asking whether it is there: leave an absent bias out.
        return Encoded("DEPTHWISE_CONV_2D", options, (0, 1, 2) if view.optional(2) is not None else (0, 1))

    def sample(self, draw: Draw) -> Graph:
        in_c, multiplier = draw.choice(SIZES), draw.choice((1, 1, 1, 2, 3, 4, 5, 8))
        kernel = draw.choice(((3, 3), (3, 3), (draw.integer(1, 4), draw.integer(1, 5))))
        stride = draw.choice(((1, 1), (2, 2), (draw.integer(1, 3), draw.integer(1, 3))))
        dilation = draw.choice(((1, 1), (1, 1), (draw.integer(1, 3), draw.integer(1, 3))))
        size = tuple((k - 1) * d + draw.integer(1, 6) for k, d in zip(kernel, dilation, strict=True))
        x = activation_tensor("x", (draw.choice((1, 1, 2)), *size, in_c), draw_quant(draw))
        assert x.quant is not None
        padding = win.explicit_padding(win.draw_padding(draw), size, kernel, stride, dilation)
        weights, bias, out_quant = draw_weights(draw, (1, *kernel, in_c * multiplier), 3, x.quant)
        activation = draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))
        a = attrs(stride=stride, dilation=dilation, padding=padding, activation=activation)
        y = activation_tensor("y", self.window(x.shape, kernel, in_c * multiplier, a), out_quant)
        return one_op(self.name, (x, weights, draw.choice((bias, None))), (y,), a)
