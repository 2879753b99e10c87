"""Convolutions over one or two axes: dense, depthwise, separable and transposed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.keras.layers.activation import activated
from sandgrain.formats.keras.layers.base import Handler, Layer, aten, channels_first, channels_last, zero_padded
from sandgrain.formats.keras.weights import taken

Sizes = tuple[int, ...]


def spans(kernel: Sizes, dilation: Sizes) -> Sizes:
    """How many positions a kernel reaches over."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def same_sides(size: Sizes, span: Sizes, stride: Sizes) -> list[tuple[int, int]]:
    """ "same" padding (before, after) along each axis: outputs for every stride begun, the odd element after."""
    wanted = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, span, stride, strict=True)]
    return [(t // 2, t - t // 2) for t in wanted]


def extents(size: Sizes, sides: Sequence[tuple[int, int]], span: Sizes, stride: Sizes) -> Sizes:
    """Outputs along each axis. Raises ModelError where there are none."""
    found = tuple((n + sum(p) - k) // s + 1 for n, p, k, s in zip(size, sides, span, stride, strict=True))
    if min(found) < 1:
        raise ModelError(f"a kernel over {list(span)} positions of {list(size)}; use a larger input")
    return found


class _Window:
    """What the convolutions share of their configuration."""

    def __init__(self, layer: Layer, rank: int) -> None:
        config = layer.config
        self.size = layer.ranked(rank + 2).shape[1:-1]
        self.kernel = config.sizes("kernel_size", rank)
        self.stride, self.dilation = config.sizes("strides", rank, 1), config.sizes("dilation_rate", rank, 1)
        self.padding = config.word("padding", "valid", "same", *(("causal",) if rank == 1 else ()))
        self.bias = config.flag("use_bias", True)
        if self.padding == "same" and max(self.stride) > 1 and max(self.dilation) > 1:
            raise UnsupportedError("strides and dilation_rate at once; use one of them")

    def convolved(self, b: Builder, x: Value, kernel: Array, bias: Array | None, groups: int) -> Value:
        """`kernel`: [*sizes, inputs of a group, outputs]."""
        span = spans(self.kernel, self.dilation)
        sides = [(0, 0)] * len(span)
        if self.padding == "same":
            sides = same_sides(self.size, span, self.stride)
        elif self.padding == "causal":
            sides = [(span[0] - 1, 0)]
        out = extents(self.size, sides, span, self.stride)
        return _convolved(b, zero_padded(b, x, sides), kernel, bias, out, self.stride, self.dilation, groups)


def _convolved(
    b: Builder, x: Value, kernel: Array, bias: Array | None, out: Sizes, stride: Sizes, dilation: Sizes, groups: int
) -> Value:
    rank = len(out)
    weight = kernel.transpose(rank + 1, rank, *range(rank))
    found = aten(
        b, f"conv{rank}d", (1, len(weight), *out), input=channels_first(x), weight=weight, bias=bias,
        stride=stride, padding=[0] * rank, dilation=dilation, groups=groups,
    )  # fmt: skip
    return channels_last(found)


def _dense(rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        window, x = _Window(layer, rank), layer.x
        outs, groups = layer.config.whole("filters", low=1), layer.config.whole("groups", 1, low=1)
        if x.shape[-1] % groups or outs % groups:
            raise ModelError(f"{groups} groups of {x.shape[-1]} channels to {outs}; save the model again")
        shape = (*window.kernel, x.shape[-1] // groups, outs)
        kernel, bias = taken(layer.weights, kernel=shape, bias=(outs,) if window.bias else None)
        return activated(layer, window.convolved(layer.b, x, kernel, bias, groups))

    return handle


def _per_channel(kernel: Array) -> Array:
    """[*sizes, channels, multiplier] to [*sizes, 1, channels * multiplier]."""
    return kernel.reshape(*kernel.shape[:-2], 1, -1)


def _depthwise(rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        window, x = _Window(layer, rank), layer.x
        channels, multiplier = x.shape[-1], layer.config.whole("depth_multiplier", 1, low=1)
        bias_shape = (channels * multiplier,) if window.bias else None
        kernel, bias = taken(layer.weights, kernel=(*window.kernel, channels, multiplier), bias=bias_shape)
        return activated(layer, window.convolved(layer.b, x, _per_channel(kernel), bias, channels))

    return handle


def _separable(rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        window, x = _Window(layer, rank), layer.x
        channels, multiplier = x.shape[-1], layer.config.whole("depth_multiplier", 1, low=1)
        outs, ones = layer.config.whole("filters", low=1), (1,) * rank
        depthwise, pointwise, bias = taken(
            layer.weights,
            depthwise_kernel=(*window.kernel, channels, multiplier),
            pointwise_kernel=(*ones, channels * multiplier, outs),
            bias=(outs,) if window.bias else None,
        )
        middle = window.convolved(layer.b, x, _per_channel(depthwise), None, channels)
        return activated(layer, _convolved(layer.b, middle, pointwise, bias, middle.shape[1:-1], ones, ones, 1))

    return handle


def _transposed(rank: int) -> Handler:
    """The gradient of a convolution from an image of the output's size, as TensorFlow has it."""

    def handle(layer: Layer) -> Value:
        window, x = _Window(layer, rank), layer.x
        if max(window.dilation) > 1 or layer.config.has("output_padding"):
            raise UnsupportedError("dilation_rate or output_padding; leave them out")
        outs = layer.config.whole("filters", low=1)
        shape = (*window.kernel, outs, x.shape[-1])
        kernel, bias = taken(layer.weights, kernel=shape, bias=(outs,) if window.bias else None)
        pairs = list(zip(window.size, window.kernel, window.stride, strict=True))
        valid = window.padding == "valid"
        out = [n * s + (max(k - s, 0) if valid else 0) for n, k, s in pairs]
        cut = [0 if valid else max(k - s, 0) // 2 for _, k, s in pairs]
        found = aten(
            layer.b, f"conv_transpose{rank}d", (1, outs, *out), input=channels_first(x),
            weight=np.ascontiguousarray(kernel.transpose(rank + 1, rank, *range(rank))), bias=bias, stride=window.stride,
            padding=cut, dilation=[1] * rank, groups=1,
        )  # fmt: skip
        return activated(layer, channels_last(found))

    return handle


HANDLERS: dict[str, Handler] = {
    f"{name}{rank}D{end}": make(rank)
    for rank in (1, 2)
    for name, end, make in (
        ("Conv", "", _dense),
        ("DepthwiseConv", "", _depthwise),
        ("SeparableConv", "", _separable),
        ("Conv", "Transpose", _transposed),
    )
}
HINTS = {"Conv3D": "use convolutions over one or two axes", "Conv3DTranspose": "use convolutions over one or two axes"}
