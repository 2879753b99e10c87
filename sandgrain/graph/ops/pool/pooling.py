"""What the two pools share: the window, the checks, the lowering, the test cases."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Op, Option, Shape, need, need_inputs, need_quantized
from sandgrain.graph.ops.channels import Interval, Link, through
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.rescale import need_activation
from sandgrain.graph.ops.real_math import flat
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.traits import FIRST_INPUT, HOMOGENEOUS

POOL_OPTIONS = (
    *win.STRIDE_OPTIONS,
    Option("filter_width", 3, "i32"),
    Option("filter_height", 4, "i32"),
    Option(win.ACTIVATION_OPTION, 5, "i8"),
)
MAX_PLANE = 1 << 23  # pixels: a sum of that many int8 values fits 32 bits


class Pool(Op):
    """A pool over NHWC; `fill` and `_reduce` tell the two apart."""

    attributes = kinds(kernel=(int, int), stride=(int, int), padding=(int, int, int, int), activation=str)

    activates = True
    windowed = True
    same_scale_inputs = FIRST_INPUT
    fill: ClassVar[int]  # what a tap outside the input counts as

    @abstractmethod
    def _reduce(self, taps: Array, counts: Array) -> Array:
        """Windows [n, oh, ow, taps, c], outside taps set to `fill`, and the number of inside taps [oh, ow] -> int64."""

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        x = inputs[0]
        assert x is not None
        if len(x.shape) != 4:
            raise ModelError(f"input {x.shape} must have 4 dimensions")
        top, bottom, left, right = attrs["padding"]
        height = win.output_extent(x.shape[1], attrs["kernel"][0], attrs["stride"][0], 1, top, bottom)
        width = win.output_extent(x.shape[2], attrs["kernel"][1], attrs["stride"][1], 1, left, right)
        return ((x.shape[0], height, width, x.shape[3]),)

    def check(self, view: View) -> None:
        x, out, a = view.input(0), view.out, view.attrs
        need_quantized(x, out)
        # TensorFlow Lite Micro's rule: the same zero point, scales within 10^-6.
        same = abs(x.scale - out.scale) <= 1e-6 and x.zero_point == out.zero_point
        need(same, "input and output are quantized differently; give a pool's output its input's scale and zero point")
        need(x.shape[1] * x.shape[2] < MAX_PLANE, f"an input of {x.shape[1]}x{x.shape[2]} is too large to pool")
        need_activation(out, a["activation"])
        (top, _, left, _), kernel, stride = a["padding"], a["kernel"], a["stride"]
        inside = (
            top < kernel[0]
            and left < kernel[1]
            and (out.shape[1] - 1) * stride[0] - top < x.shape[1]
            and (out.shape[2] - 1) * stride[1] - left < x.shape[2]
        )
        need(inside, "a window lies wholly in the padding; pad by less than the window")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a = inputs[0], view.attrs
        assert x is not None
        windows = win.patches(x.astype(np.int64), a["kernel"], a["stride"], (1, 1), a["padding"], self.fill)
        inside = win.patches(np.ones((1, *x.shape[1:3], 1), np.int64), a["kernel"], a["stride"], (1, 1), a["padding"], 0)
        n, oh, ow, kh, kw, c = windows.shape
        result = self._reduce(windows.reshape(n, oh, ow, kh * kw, c), inside.sum(axis=(3, 4, 5))[0])
        return (np.clip(result, *clamp_of(view)).astype(view.out.dtype.numpy),)

    @staticmethod
    def filled(view: View, x: Array, fill: float) -> Array:
        """The windows of a float input as [n * b, oh, ow, taps, c], `fill` outside."""
        a = view.attrs
        windows = win.patches(flat(x), a["kernel"], a["stride"], (1, 1), a["padding"], fill)
        return windows.reshape(*windows.shape[:3], -1, windows.shape[5])

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        """The largest and the rounded mean of values of an interval lie in it; padding is left out of both."""
        return [Interval(np.clip(known[0].low, *clamp_of(view)), np.clip(known[0].high, *clamp_of(view)))]

    def links(self, view: View) -> Sequence[Link] | None:
        return through(view)

    def passes_factors(self, view: View, channels: int) -> bool:
        return view.attrs["activation"] in HOMOGENEOUS

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 1)
        x = inputs[0]
        assert x is not None
        if len(x.shape) != 4:
            raise ModelError(f"input {x.shape} must have 4 dimensions")
        kernel = (options["filter_height"], options["filter_width"])
        stride = (options["stride_h"], options["stride_w"])
        padding = win.explicit_padding(options["padding"], x.shape[1:3], kernel, stride)
        activation = win.activation(options[win.ACTIVATION_OPTION])
        return Decoded(attrs(kernel=kernel, stride=stride, padding=padding, activation=activation), (0,))

    def encode(self, view: View) -> Encoded:
        a = view.attrs
        options = {
            "padding": win.padding_code(a["padding"], view.input(0).shape[1:3], a["kernel"], a["stride"]),
            "stride_h": a["stride"][0],
            "stride_w": a["stride"][1],
            "filter_height": a["kernel"][0],
            "filter_width": a["kernel"][1],
            win.ACTIVATION_OPTION: win.ACTIVATION_CODE[a["activation"]],
        }
        return Encoded(self.foreign[0].name, options, (0,))

    def sample(self, draw: Draw) -> Graph:
        kernel, stride = (draw.integer(1, 5), draw.integer(1, 5)), (draw.integer(1, 3), draw.integer(1, 3))
        code = win.draw_padding(draw)
        size = tuple(draw.integer(1, 9) if code == 0 else k + draw.integer(0, 6) for k in kernel)
        x = activation_tensor("x", (draw.choice((1, 1, 2)), *size, draw.choice(SIZES)), draw_quant(draw))
        assert x.quant is not None
        padding = win.explicit_padding(code, size, kernel, stride)
        activation = draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))
        a = attrs(kernel=kernel, stride=stride, padding=padding, activation=activation)
        return one_op(self.name, (x,), (activation_tensor("y", self.shapes((x,), a)[0], x.quant),), a)
