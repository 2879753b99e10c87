"""2-D convolution: NHWC input, OHWI weights, one multiplier a channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Draw, Encoded, Foreign, Option, Shape
from sandgrain.graph.ops.channels import Interval, Link, Mask
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.convolution import Convolution
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, draw_weights, exact_matmul, finish
from sandgrain.graph.ops.real_math import bias_or_zero, finished, flat
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.sum_bounds import dense_interval, window_taps

MAX_COLUMNS = 1 << 24  # floats of one im2col matrix of `real` (64 MiB)


class Conv2D(Convolution):
    name = "conv_2d"
    summary = "2-D convolution, dilated, with a fused activation"
    foreign = (
        Foreign(
            "CONV_2D", 3, 1,
            (*win.STRIDE_OPTIONS, Option(win.ACTIVATION_OPTION, 3, "i8"),
             Option("dilation_w_factor", 4, "i32", 1), Option("dilation_h_factor", 5, "i32", 1)),
            version=3, int16=True,
        ),
    )  # fmt: skip

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        x, weights = self.operands(inputs)
        if x.shape[3] != weights.shape[3]:
            raise ModelError(
                f"{x.shape[3]} input channels, weights for {weights.shape[3]} (grouped convolution is not supported)"
            )
        return (self.window(x.shape, weights.shape[1:3], weights.shape[0], attrs),)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, weights = inputs[0], view.const(1)
        assert x is not None
        zero = view.input(0).zero_point
        windows = win.patches(x, weights.shape[1:3], view.attrs["stride"], view.attrs["dilation"], view.attrs["padding"], zero)
        n, oh, ow = windows.shape[:3]
        columns = windows.reshape(n, oh, ow, -1).astype(np.int16) - zero
        acc = exact_matmul(columns, weights.reshape(weights.shape[0], -1).T) + bias_of(view, weights.shape[0])
        return (finish(view, acc, *channel_multipliers(view, weights.shape[0])),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x, weights, a = flat(inputs[0]), view.const(1), view.attrs
        rows = weights.reshape(weights.shape[0], -1).T
        pixels = view.out.size // weights.shape[0] // view.out.shape[0]
        size = max(1, MAX_COLUMNS // (pixels * rows.shape[0]))
        parts = []
        for first in range(0, len(x), size):
            windows = win.patches(x[first : first + size], weights.shape[1:3], a["stride"], a["dilation"], a["padding"], 0)
            parts.append(windows.reshape(-1, rows.shape[0]) @ rows)
        return finished(view, len(inputs[0]), np.concatenate(parts) + bias_or_zero(view))

    def taps(self, view: View) -> tuple[Mask, Mask] | None:
        return window_taps(view)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        taps = self.taps(view)
        return None if taps is None else [dense_interval(view, taps, known[0])]

    def links(self, view: View) -> Sequence[Link] | None:
        return []  # every output reads all input channels, and can go alone

    def columns(self, view: View, x: Array, limit: int) -> Array | None:
        rows = self.window_rows(view, x, limit)
        return rows.reshape(1, len(rows), -1).astype(np.float64)

    def macs(self, view: View) -> int:
        return view.out.size * int(np.prod(view.input(1).shape[1:]))

    def encode(self, view: View) -> Encoded:
        return Encoded("CONV_2D", self.options(view), tuple(range(len(view.inputs))))

    def sample(self, draw: Draw) -> Graph:
        in_c, out_c = draw.choice(SIZES), draw.choice(SIZES)
        kernel = (draw.integer(1, 4), draw.integer(1, 4))
        stride, dilation = (draw.integer(1, 3), draw.integer(1, 3)), (draw.choice((1, 1, 2, 3)), draw.choice((1, 1, 2, 3)))
        size = tuple((k - 1) * d + draw.integer(1, 6) for k, d in zip(kernel, dilation, strict=True))
        x = activation_tensor("x", (draw.choice((1, 1, 2)), *size, in_c), draw_quant(draw))
        assert x.quant is not None
        padding = win.explicit_padding(win.draw_padding(draw), size, kernel, stride, dilation)
        weights, bias, out_quant = draw_weights(draw, (out_c, *kernel, in_c), 0, x.quant)
        a = attrs(stride=stride, dilation=dilation, padding=padding, activation=draw.choice(("none", "relu", "relu6")))
        y = activation_tensor("y", self.window(x.shape, kernel, out_c, a), out_quant)
        return one_op(self.name, (x, weights, draw.choice((bias, None))), (y,), a)
