"""Transposed 2-D convolution: NHWC input, OHWI weights; input pixel i adds weights[k] to output pixel i * stride + k - padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Option, Shape, constant_ints, i32, need
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.convolution import Convolution
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, draw_weights, finish
from sandgrain.graph.ops.real_math import bias_or_zero, finished, flat
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op

MAX_STRIDE = 64  # the kernel's tables hold a line for each output position modulo the stride


def scattered(products: Array, stride: Sequence[int], padding: Sequence[int], size: Sequence[int]) -> Array:
    """Products [n, h, w, kernel_h, kernel_w, c] of each pixel with each tap, summed where they land: [n, *size, c]."""
    n, h, w, kernel_h, kernel_w, channels = products.shape
    reach = [(e - 1) * s + k for e, s, k in zip((h, w), stride, (kernel_h, kernel_w), strict=True)]
    canvas = np.zeros((n, *(max(r, p + z) for r, p, z in zip(reach, padding, size, strict=True)), channels), products.dtype)
    for ky, kx in np.ndindex(kernel_h, kernel_w):
        rows, columns = slice(ky, ky + (h - 1) * stride[0] + 1, stride[0]), slice(kx, kx + (w - 1) * stride[1] + 1, stride[1])
        canvas[:, rows, columns] += products[:, :, :, ky, kx]
    return canvas[:, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def multiplied(x: Array, weights: Array) -> Array:
    """`x` [n, h, w, c] times every tap of OHWI `weights`: float64 [n, h, w, kernel_h, kernel_w, o]."""
    columns = weights.transpose(3, 1, 2, 0).reshape(x.shape[3], -1)
    product = x.reshape(-1, x.shape[3]).astype(np.float64) @ columns.astype(np.float64)
    return product.reshape(*x.shape[:3], *weights.shape[1:3], weights.shape[0])


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> tuple[int, int]:
    """(top, left) of TensorFlow's SAME for an output of `size`: that of the convolution this one is the gradient of."""
    top, left = (win.same_padding(z, k, s)[0] for z, k, s in zip(size, kernel, stride, strict=True))
    return top, left


def named_paddings(view: View) -> dict[tuple[int, int], int]:
    """The paddings that .tflite has a code for -> the code."""
    same = same_padding(view.attrs["size"], view.input(1).shape[1:3], view.attrs["stride"])
    return {same: win.PADDING_CODE["same"], (0, 0): win.PADDING_CODE["valid"]}


# --- the op ----------------------------------------------------------------------------------------------------------


class TransposeConv(Convolution):
    """Attributes `stride`, `padding` (top, left: what is cut off the start), `size` (height, width) and `activation`."""

    name = "transpose_conv"
    summary = "transposed 2-D convolution with a fused activation"
    attributes = kinds(size=(int, int), stride=(int, int), padding=(int, int), activation=str)
    windowed = False  # each input pixel is spread over a window of the output
    pad_value = None  # `padding` is what the output is cut by
    foreign = (
        Foreign("TRANSPOSE_CONV", 67, 49, (*win.STRIDE_OPTIONS, Option(win.ACTIVATION_OPTION, 3, "i8")), version=3, int16=True),
    )

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        x, weights = self.operands(inputs)
        if x.shape[3] != weights.shape[3]:
            raise ModelError(f"{x.shape[3]} input channels, weights for {weights.shape[3]}")
        for stride, kernel, before, side in zip(
            attrs["stride"], weights.shape[1:3], attrs["padding"], attrs["size"], strict=True
        ):
            need(0 < stride <= MAX_STRIDE, f"a stride of {stride}; use 1 to {MAX_STRIDE}")
            need(0 < kernel < win.MAX_EXTENT, f"a kernel side of {kernel}; use 1 to {win.MAX_EXTENT - 1}")
            need(0 <= before < win.MAX_EXTENT, f"a padding of {before}; use 0 to {win.MAX_EXTENT - 1}")
            need(0 < side < win.MAX_EXTENT, f"an output side of {side}; use 1 to {win.MAX_EXTENT - 1}")
        return ((x.shape[0], *attrs["size"], weights.shape[0]),)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a, weights = inputs[0], view.attrs, view.const(1)
        assert x is not None
        products = np.rint(multiplied(x.astype(np.int16) - view.input(0).zero_point, weights)).astype(np.int64)
        sums = scattered(products, a["stride"], a["padding"], a["size"])
        acc = np.asarray(sums + bias_of(view, len(weights)), np.int64)
        return (finish(view, acc, *channel_multipliers(view, len(weights))),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        a = view.attrs
        total = scattered(multiplied(flat(inputs[0]), view.const(1)), a["stride"], a["padding"], a["size"])
        return finished(view, len(inputs[0]), total + bias_or_zero(view))

    def macs(self, view: View) -> int:
        return view.input(0).size * view.input(1).size // view.input(0).shape[3]

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        """Foreign inputs: the output's shape, weights, input, bias."""
        if len(inputs) < 3:
            raise ModelError(f"has {len(inputs)} inputs, needs 3 or 4")
        x, weights = self.operands((inputs[2], inputs[1]))
        shape = constant_ints(inputs[0], "the output's shape")
        if len(shape) != 4 or shape[0] != x.shape[0] or shape[3] != weights.shape[0]:
            raise ModelError(f"an output shape of {shape} for input {x.shape} and weights {weights.shape}")
        stride, size = (options["stride_h"], options["stride_w"]), tuple(shape[1:3])
        need(options["padding"] in win.PADDING, f"padding code {options['padding']} is not SAME or VALID")
        same = win.PADDING[options["padding"]] == "same"
        padding = same_padding(size, weights.shape[1:3], stride) if same else (0, 0)
        activation = win.activation(options[win.ACTIVATION_OPTION])
        kept = (2, 1, 3) if len(inputs) > 3 and inputs[3] is not None else (2, 1)
        return Decoded(attrs(stride=stride, padding=padding, size=size, activation=activation), kept)

    def encode(self, view: View) -> Encoded:
        a = view.attrs
        codes, padding = named_paddings(view), tuple(a["padding"])
        need(padding in codes, f"padding {padding} of a transposed convolution has no name in .tflite; crop its output instead")
        options = {
            "padding": codes[padding],
            "stride_h": a["stride"][0],
            "stride_w": a["stride"][1],
            win.ACTIVATION_OPTION: win.ACTIVATION_CODE[a["activation"]],
        }
        # TensorFlow Lite Micro reads a fourth input without asking whether it is there: leave an absent bias out.
        return Encoded("TRANSPOSE_CONV", options, (i32(view.out.shape), 1, 0, *((2,) if view.optional(2) is not None else ())))

    def sample(self, draw: Draw) -> Graph:
        in_c, out_c = draw.choice(SIZES), draw.choice(SIZES)
        kernel = (draw.integer(1, 5), draw.integer(1, 5))
        stride = draw.choice(((1, 1), (2, 2), (draw.integer(1, 4), draw.integer(1, 4))))
        x = activation_tensor("x", (draw.choice((1, 1, 2)), draw.integer(1, 5), draw.integer(1, 5), in_c), draw_quant(draw))
        assert x.quant is not None
        size = tuple((e - 1) * s + draw.integer(1, k + 1) for e, s, k in zip(x.shape[1:3], stride, kernel, strict=True))
        padding = draw.choice(((0, 0), same_padding(size, kernel, stride)))
        weights, bias, out_quant = draw_weights(draw, (out_c, *kernel, in_c), 0, x.quant)
        a = attrs(stride=stride, padding=padding, size=size, activation=draw.choice(("none", "none", "relu", "relu6")))
        y = activation_tensor("y", (x.shape[0], *size, out_c), out_quant)
        return one_op(self.name, (x, weights, draw.choice((bias, None))), (y,), a)
