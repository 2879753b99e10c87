"""Layers that move a window over an image: the parameters that their kernels share, and weights as rows."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import bias_of
from sandgrain.graph.quantization import Int64
from sandgrain.kernels.base import Fields

BLOCK = 4  # output channels that the portable kernels compute at once


def window_fields(view: View, *leave_out: str) -> Fields:
    """Sizes, strides, dilation and padding of a convolution, without the members named in `leave_out`."""
    x, out, kernel = view.input(0).shape, view.out.shape, view.input(1).shape
    (stride_h, stride_w), (dilation_h, dilation_w) = view.attrs["stride"], view.attrs["dilation"]
    top, _, left, _ = view.attrs["padding"]
    fields = {
        "batch": x[0],
        "in_h": x[1],
        "in_w": x[2],
        "in_c": x[3],
        "out_h": out[1],
        "out_w": out[2],
        "out_c": out[3],
        "kernel_h": kernel[1],
        "kernel_w": kernel[2],
        "stride_h": stride_h,
        "stride_w": stride_w,
        "dilation_h": dilation_h,
        "dilation_w": dilation_w,
        "pad_top": top,
        "pad_left": left,
    }
    return {name: value for name, value in fields.items() if name not in leave_out}


def is_pointwise(view: View) -> bool:
    """Whether a convolution sees one pixel at a time, every pixel once."""
    a = view.attrs
    return view.input(1).shape[1:3] == (1, 1) and tuple(a["stride"]) == (1, 1) and not any(a["padding"])


def by_unit(view: View) -> Array:
    """[units, depth] of weights whose channels are axis 0."""
    weights = view.const(1)
    return weights.reshape(len(weights), -1)


def by_channel(view: View) -> Array:
    """[channels, taps] of depthwise weights [1, h, w, channels]."""
    weights = view.const(1)
    return np.ascontiguousarray(weights.reshape(-1, weights.shape[3]).T)


def folded_bias(view: View, rows: Array) -> Int64:
    """int64 [channels]: the bias plus the input zero point's share, for weights [channels, taps].

    Right wherever every tap reads a value; padding must read the zero point.
    """
    bias = bias_of(view, len(rows)).astype(np.int64)
    return np.asarray(bias - view.input(0).zero_point * rows.astype(np.int64).sum(axis=1), np.int64)


def blocked(rows: Array) -> Array:
    """[channels, taps] as the portable kernels read them: blocks of 4 channels interleaved, then the last rows one by one."""
    whole = len(rows) - len(rows) % BLOCK
    fours = rows[:whole].reshape(-1, BLOCK, rows.shape[1]).transpose(0, 2, 1)
    return np.concatenate([fours.reshape(-1), rows[whole:].reshape(-1)])
