"""What conv_2d and depthwise_conv_2d share: windows over NHWC, constant weights, .tflite options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Op, Shape, need_inputs
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import check_weights
from sandgrain.graph.ops.elementwise.rescale import need_activation, need_multiplier
from sandgrain.graph.ops.real_math import flat, thinned
from sandgrain.graph.ops.traits import PadValue, Weight


class Convolution(Op):
    """A convolution; attributes `stride`, `dilation`, `padding` (top, bottom, left, right) and `activation`."""

    attributes = kinds(stride=(int, int), dilation=(int, int), padding=(int, int, int, int), activation=str)
    activates = True
    weights = (Weight(),)
    windowed = True
    pad_value: ClassVar[PadValue | None] = PadValue.ZERO

    @staticmethod
    def operands(inputs: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """(input, weights), both of 4 dimensions. Raises ModelError."""
        need_inputs(inputs, 2, 3)
        x, weights = inputs[0], inputs[1]
        assert x is not None and weights is not None
        if len(x.shape) != 4 or len(weights.shape) != 4:
            raise ModelError(f"input {x.shape} and weights {weights.shape} must both have 4 dimensions")
        return x, weights

    @staticmethod
    def window(x: Shape, kernel: Sequence[int], channels: int, attrs: Attrs) -> Shape:
        """The output's shape. Raises ModelError when a window does not fit."""
        top, bottom, left, right = attrs["padding"]
        (stride_h, stride_w), (dilation_h, dilation_w) = attrs["stride"], attrs["dilation"]
        height = win.output_extent(x[1], kernel[0], stride_h, dilation_h, top, bottom)
        width = win.output_extent(x[2], kernel[1], stride_w, dilation_w, left, right)
        return x[0], height, width, channels

    def check(self, view: View) -> None:
        check_weights(view, self.weights[0].channel_axis)
        for scale in view.input(1).quant.scale:  # type: ignore[union-attr]
            need_multiplier(view.input(0).scale * scale / view.out.scale)
        need_activation(view.out, view.attrs["activation"])

    @staticmethod
    def window_rows(view: View, x: Array, limit: int) -> Array:
        """Windows [rows, height, width, channels] of as many of the images `x` [n, *shape] as give `limit` rows."""
        a = view.attrs
        images = thinned(flat(x), max(1, limit // (view.out.shape[1] * view.out.shape[2])))
        windows = win.patches(images, win.kernel_of(view), a["stride"], a["dilation"], a["padding"], 0)
        return windows.reshape(-1, *windows.shape[3:])

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        x, weights = self.operands(inputs)
        stride = (options["stride_h"], options["stride_w"])
        dilation = (options["dilation_h_factor"], options["dilation_w_factor"])
        padding = win.explicit_padding(options["padding"], x.shape[1:3], weights.shape[1:3], stride, dilation)
        activation = win.activation(options[win.ACTIVATION_OPTION])
        return Decoded(attrs(stride=stride, dilation=dilation, padding=padding, activation=activation), tuple(range(len(inputs))))

    @staticmethod
    def options(view: View) -> dict[str, Any]:
        """The .tflite options that both operators have."""
        a = view.attrs
        code = win.padding_code(a["padding"], view.input(0).shape[1:3], view.input(1).shape[1:3], a["stride"], a["dilation"])
        return {
            "padding": code,
            "stride_h": a["stride"][0],
            "stride_w": a["stride"][1],
            win.ACTIVATION_OPTION: win.ACTIVATION_CODE[a["activation"]],
            "dilation_h_factor": a["dilation"][0],
            "dilation_w_factor": a["dilation"][1],
        }
