"""Convolutions over one or two axes: dense, depthwise and grouped."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import Layout, dense
from sandgrain.formats.aten.ops.base import Arguments, need, plane
from sandgrain.formats.aten.ops.transposed import transposed

Padding = tuple[int, int, int, int]  # top, bottom, left, right


def _convolution(b: Builder, a: Arguments) -> Value:
    if a.get("transposed", False):
        return transposed(b, a)
    x, weights = a.x, a.weights("weight")
    rank = weights.ndim - 2
    need(rank in (1, 2), f"a convolution over {rank} axes; use one or two")
    need(len(x.shape) == rank + 2, "an input without a batch axis; feed [1, channels, ...]")
    stride, dilation = plane(a["stride"], rank, 1), plane(a["dilation"], rank, 1)
    if rank == 1:
        weights = weights[:, :, None, :]
    bias = a.constant("bias")
    bias = np.zeros(len(weights), np.float32) if bias is None else bias
    padding = _padding(a, rank, weights.shape[2:], dilation)
    window: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding, "activation": "none"}
    groups, channels = a["groups"], x.shape[1]
    if groups not in (1, channels):
        return _grouped(b, a, x, weights, bias, window)
    tensor, places = b.image(x)
    tensor, window["padding"] = _absorbed(b, tensor, padding)
    if groups == 1:
        kernel = b.constant(weights.transpose(0, 2, 3, 1)[..., places], "weight")  # [out, in, h, w] to OHWI
        out = b.node("conv_2d", (tensor, kernel, b.constant(bias, "bias")), **window)
        return Value(out, dense(a.shape, (0, *range(2, rank + 2), 1)))
    return _depthwise(b, a, x, tensor, places, weights, bias, window)


def _padding(a: Arguments, rank: int, kernel: tuple[int, ...], dilation: tuple[int, int]) -> Padding:
    """ATen's padding on each side; "same" puts the odd element after."""
    if a["padding"] == "valid":
        return (0, 0, 0, 0)
    if a["padding"] == "same":
        height, width = (d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
        return (height // 2, height - height // 2, width // 2, width - width // 2)
    height, width = plane(a["padding"], rank, 0)
    return (height, height, width, width)


def _absorbed(b: Builder, tensor: int, padding: Padding) -> tuple[int, Padding]:
    """The input before a zero padding of height and width that nothing else reads, with that padding added."""
    before = tensor
    maker = b.maker(tensor)
    if maker is not None and maker.op == "reshape" and b.alone(tensor):
        before, maker = maker.inputs[0], b.maker(maker.inputs[0])
    if maker is None or maker.op != "pad" or not b.alone(before, int(before != tensor)):
        return tensor, padding
    shape, pads = b.shape(before), list(maker.attrs["paddings"])
    if len(pads) == 3:  # a sequence [1, n, c]
        shape, pads = (1, *shape), [(0, 0), *pads]
    if len(pads) != 4 or shape != b.shape(tensor) or any(pads[0] + pads[3]):
        return tensor, padding
    (top, bottom), (left, right) = pads[1:3]
    inner = (shape[0], shape[1] - top - bottom, shape[2] - left - right, shape[3])
    sides = zip(padding, (top, bottom, left, right), strict=True)
    more_top, more_bottom, more_left, more_right = (p + q for p, q in sides)
    return b.view(maker.inputs[0], inner), (more_top, more_bottom, more_left, more_right)


def _depthwise(
    b: Builder, a: Arguments, x: Value, tensor: int, places: Array, weights: Array, bias: Array, window: dict[str, Any]
) -> Value:
    """Each input channel to `multiplier` output channels. The output's channels lie as the input's."""
    multiplier = len(weights) // x.shape[1]
    rows = (places[:, None] * multiplier + np.arange(multiplier)).reshape(-1)  # ATen's output channel at each place
    kernel = b.constant(weights[rows, 0].transpose(1, 2, 0)[None], "weight")
    out = b.node("depthwise_conv_2d", (tensor, kernel, b.constant(bias[rows], "bias")), **window)
    free = x.layout.with_memory(x.layout.ordered((0, *range(2, len(x.shape)), 1), free=(1,)))
    inner = free.axes[1] + ((multiplier,) if multiplier > 1 else ())
    spatial = [(n,) if n > 1 else () for n in a.shape[2:]]
    channels = [n - free.numbers(1)[0] for n in free.memory if n in free.numbers(1)]
    lead = len([s for s in spatial if s])
    memory = (*range(len(inner), len(inner) + lead), *channels, *range(len(channels), len(inner)))
    return Value(out, Layout(((), inner, *spatial), memory))


def _grouped(b: Builder, a: Arguments, x: Value, weights: Array, bias: Array, window: dict[str, Any]) -> Value:
    """A convolution for each group of channels, joined again."""
    groups = a["groups"]
    order = (0, *range(2, len(x.shape)), 1)
    x = b.arrange(x, order)
    tensor = b.image(x)[0]
    tensor, window["padding"] = _absorbed(b, tensor, window["padding"])
    height, width, channels = b.shape(tensor)[1:]
    share, outs, parts = channels // groups, len(weights) // groups, []
    for g in range(groups):
        part = b.node(
            "strided_slice", (tensor,), start=(0, 0, 0, g * share), stride=(1, 1, 1, 1), size=(1, height, width, share), drop=()
        )
        kernel = b.constant(weights[g * outs : (g + 1) * outs].transpose(0, 2, 3, 1), f"weight.{g}")
        parts.append(b.node("conv_2d", (part, kernel, b.constant(bias[g * outs : (g + 1) * outs], f"bias.{g}")), **window))
    return Value(b.node("concatenation", parts, axis=3), dense(a.shape, order))


HANDLERS = {"conv1d": _convolution, "conv2d": _convolution, "convolution": _convolution}

HINTS = {"conv3d": "use convolutions over one or two axes"}
