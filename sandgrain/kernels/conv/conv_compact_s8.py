"""Convolutions by windows with least code, full and depthwise: what all layers of a firmware share for `--optimize size`."""

from __future__ import annotations

import math
from dataclasses import replace

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import i8
from sandgrain.kernels.base import DSP, LEAST_CODE, ONE_INPUT_AND_SCRATCH, Fields, Fit, Kernel, Refused, before, lowered
from sandgrain.kernels.shared.compact_table import place_fields, refused_window, rows_fields
from sandgrain.kernels.shared.overlap import window_lead
from sandgrain.kernels.shared.windows import by_channel, by_unit


def _taps(view: View) -> int:
    return math.prod(view.input(1).shape[1:3])


def _window(view: View, step: int) -> Fields:
    """struct sg_window."""
    (kernel_h, kernel_w), (dilation_h, dilation_w) = view.input(1).shape[1:3], view.attrs["dilation"]
    return {
        **place_fields(view),
        "in_c": view.input(0).shape[3],
        "step": step,
        "kernel_h": kernel_h,
        "kernel_w": kernel_w,
        "dilation_h": dilation_h,
        "dilation_w": dilation_w,
        "outside": int.from_bytes(i8([view.input(0).zero_point] * 4).tobytes(), "little", signed=True),
    }


def _lowered(view: View, weights: Array, advance: int, step: int) -> Fit:
    refused = refused_window(view, *view.input(1).shape[1:3], *view.attrs["dilation"])
    rows = rows_fields(view, weights, advance) if refused is None else refused
    if isinstance(rows, Refused):
        return rows
    fields = {"rows": rows, "window": _window(view, step)}
    scratch = _taps(view) * view.input(0).shape[3]
    return lowered("conv_compact_s8", fields, ONE_INPUT_AND_SCRATCH, scratch, (before(window_lead(view, 1)),))


def _lower(view: View) -> Fit:
    return _lowered(view, by_unit(view), 0, 1)


def _lower_depthwise(view: View) -> Fit:
    in_c, out_c = view.input(0).shape[3], view.out.shape[3]
    if in_c != out_c:
        return Refused(f"{in_c} input and {out_c} output channels; the kernel takes as many of both")
    return _lowered(view, by_channel(view), _taps(view), _taps(view))


WHEN = "one image, sides below 2^15, kernel sides, strides and padding below 2^8, multipliers below 1, biases of 27 bits"
CONVOLUTION = Kernel("conv_compact_s8", ("conv_2d",), _lower, WHEN, LEAST_CODE, helped_by=DSP, compact=True)
DEPTHWISE = replace(
    CONVOLUTION, ops=("depthwise_conv_2d",), lower=_lower_depthwise, when=f"one output channel per input channel; {WHEN}"
)
