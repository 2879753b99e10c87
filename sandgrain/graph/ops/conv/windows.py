"""Sliding windows: what convolutions and pools share (padding, output sizes, activations, patches)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Draw, Option, need

PADDING = {0: "same", 1: "valid"}  # .tflite Padding
ACTIVATION = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6"}  # .tflite ActivationFunctionType
PADDING_CODE = {v: k for k, v in PADDING.items()}
ACTIVATION_CODE = {v: k for k, v in ACTIVATION.items()}
ACTIVATION_OPTION = "fused_activation_function"

MAX_EXTENT = 1 << 15  # strides, dilations and kernel sides stay below this, so that positions fit 32 bits


def activation(code: int) -> str:
    """Name of a fused activation code."""
    need(code in ACTIVATION, f"fused activation {code} is not supported; use relu or relu6, or a separate layer")
    return ACTIVATION[code]


def output_extent(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Output length along one axis of a padded, strided, dilated window."""
    if not (0 < stride < MAX_EXTENT and 0 < dilation < MAX_EXTENT and 0 < kernel < MAX_EXTENT):
        raise ModelError(f"stride {stride}, dilation {dilation} and kernel {kernel} must each be 1 to {MAX_EXTENT - 1}")
    if before < 0 or after < 0:
        raise ModelError(f"a padding of {before}+{after} takes away from its input; slice it before")
    span = (kernel - 1) * dilation + 1
    room = size + before + after - span
    if room < 0:
        raise ModelError(f"a window of {span} does not fit an input of {size} padded by {before}+{after}")
    return room // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) for TensorFlow's SAME: ceil(size / stride) outputs, the odd element after."""
    if stride < 1:
        raise ModelError(f"stride {stride} must be at least 1")
    span = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def explicit_padding(
    code: int, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int] = (1, 1)
) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) for a .tflite padding code over (height, width)."""
    need(code in PADDING, f"padding code {code} is not SAME or VALID")
    if PADDING[code] == "valid":
        return 0, 0, 0, 0
    top, bottom = same_padding(size[0], kernel[0], stride[0], dilation[0])
    left, right = same_padding(size[1], kernel[1], stride[1], dilation[1])
    return top, bottom, left, right


def padding_code(
    padding: Sequence[int], size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int] = (1, 1)
) -> int:
    """The inverse of `explicit_padding`. Raises UnsupportedError for padding that .tflite cannot express in the op."""
    for code in (1, 0):
        if explicit_padding(code, size, kernel, stride, dilation) == tuple(padding):
            return code
    need(False, f"padding {tuple(padding)} needs a PAD layer in .tflite")
    raise AssertionError


def kernel_of(view: View) -> tuple[int, int]:
    """Height and width of a windowed op's window: of its weights [.., height, width, ..], or its attribute `kernel`."""
    height, width = view.attrs["kernel"] if "kernel" in view.attrs else view.input(1).shape[1:3]
    return height, width


STRIDE_OPTIONS = (Option("padding", 0, "i8"), Option("stride_w", 1, "i32"), Option("stride_h", 2, "i32"))


def patches(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], padding: Sequence[int], fill: float
) -> Array:
    """Every window of `x` [n, h, w, c] as [n, oh, ow, kh, kw, c], `fill` outside."""
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return np.moveaxis(windows, 3, 5)


def draw_padding(draw: Draw) -> int:
    """A .tflite padding code."""
    return draw.choice((0, 1))
