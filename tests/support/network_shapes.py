"""Shapes that networks are made of and that the general sample of an op seldom draws: a kernel may be for these alone.

Each function draws a one-op graph of the op that its name begins with, up to two underscores.
"""

from __future__ import annotations

from sandgrain.graph.ir import Graph, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import draw_weights
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import per_tensor

CHANNELS = (*SIZES, 24, 32, 33, 64)
ACTIVATIONS = ("none", "relu", "relu6")


def conv_2d__pointwise(draw: Draw) -> Graph:
    shape = (draw.choice((1, 1, 2)), draw.integer(1, 5), draw.integer(1, 5), draw.choice(CHANNELS))
    return _convolution(draw, shape, (1, 1), draw.choice(CHANNELS), 0, draw.choice(((1, 1), (1, 1), (2, 2))))


def conv_2d__first_layer(draw: Draw) -> Graph:
    """One or three channels in, a window with padding."""
    kernel = draw.choice(((3, 3), (5, 5), (10, 4)))
    shape = (1, kernel[0] + draw.integer(0, 5), kernel[1] + draw.integer(0, 5), draw.choice((1, 3)))
    return _convolution(draw, shape, kernel, draw.choice((4, 8, 12, 16)), draw.choice((0, 1)), draw.choice(((1, 1), (2, 2))))


def conv_2d__line(draw: Draw) -> Graph:
    """A convolution over time alone."""
    shape = (1, 1, draw.integer(3, 12), draw.choice((4, 8, 16, 20)))
    return _convolution(draw, shape, (1, draw.choice((3, 5))), draw.choice((4, 8, 16)), 0, draw.choice(((1, 1), (1, 2))))


def _convolution(
    draw: Draw, shape: tuple[int, ...], kernel: tuple[int, int], out_c: int, code: int, stride: tuple[int, int]
) -> Graph:
    x = activation_tensor("x", shape, draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (out_c, *kernel, shape[3]), 0, x.quant)
    padding = win.explicit_padding(code, shape[1:3], kernel, stride, (1, 1))
    a = attrs(stride=stride, dilation=(1, 1), padding=padding, activation=draw.choice(ACTIVATIONS))
    out = OPS["conv_2d"].shapes((x, weights, bias), a)[0]
    return one_op("conv_2d", (x, weights, draw.choice((bias, None))), (activation_tensor("y", out, out_quant),), a)


def depthwise_conv_2d__3x3(draw: Draw) -> Graph:
    return _depthwise_3x3(draw, draw.choice(ACTIVATIONS), None)


def depthwise_conv_2d__3x3_to_relu(draw: Draw) -> Graph:
    """As converters have it: zero is the lowest int8."""
    return _depthwise_3x3(draw, "relu", -128)


def _depthwise_3x3(draw: Draw, activation: str, zero_point: int | None) -> Graph:
    stride, code = draw.choice(((1, 1), (2, 2))), draw.choice((0, 0, 1))
    x = activation_tensor("x", (1, draw.integer(3, 9), draw.integer(3, 9), draw.choice(CHANNELS)), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (1, 3, 3, x.shape[3]), 3, x.quant)
    padding = win.explicit_padding(code, x.shape[1:3], (3, 3), stride, (1, 1))
    a = attrs(stride=stride, dilation=(1, 1), padding=padding, activation=activation)
    if zero_point is not None:
        out_quant = per_tensor(out_quant.scale[0], zero_point)
    out = OPS["depthwise_conv_2d"].shapes((x, weights, bias), a)[0]
    return one_op("depthwise_conv_2d", (x, weights, draw.choice((bias, None))), (activation_tensor("y", out, out_quant),), a)


def depthwise_conv_2d__one_channel(draw: Draw) -> Graph:
    """One channel in, several out: an ordinary convolution by another name."""
    x = activation_tensor("x", (1, draw.integer(4, 12), draw.integer(4, 12), 1), draw_quant(draw))
    assert x.quant is not None
    kernel, stride, out_c = (
        draw.choice(((1, 1), (3, 3), (4, 4), (10, 8))),
        draw.choice(((1, 1), (2, 2))),
        draw.choice((2, 4, 8, 9)),
    )
    weights, bias, out_quant = draw_weights(draw, (1, *kernel, out_c), 3, x.quant)
    padding = win.explicit_padding(0, x.shape[1:3], kernel, stride, (1, 1))
    a = attrs(stride=stride, dilation=(1, 1), padding=padding, activation=draw.choice(ACTIVATIONS))
    out = OPS["depthwise_conv_2d"].shapes((x, weights, bias), a)[0]
    return one_op("depthwise_conv_2d", (x, weights, draw.choice((bias, None))), (activation_tensor("y", out, out_quant),), a)


def fully_connected__words(draw: Draw) -> Graph:
    units, depth = draw.choice((8, 9, 12, 15, 16, 23, 24)), 4 * draw.integer(1, 40)
    x = activation_tensor("x", (draw.choice((1, 1, 3)), depth), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (units, depth), 0, x.quant)
    y = activation_tensor("y", (x.shape[0], units), out_quant)
    a = attrs(activation=draw.choice(ACTIVATIONS), keep_num_dims=False)
    return one_op("fully_connected", (x, weights, draw.choice((bias, None))), (y,), a)
