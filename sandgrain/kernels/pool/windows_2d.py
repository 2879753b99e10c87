"""What the kernels of both pools share: parameters, conditions, and when the output may lie over the input."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.kernels.base import OVER_INPUT, Fields, Fit, Refused, Share, lowered
from sandgrain.kernels.shared.compact_table import RUN, place_fields, refused_window

MAX_TAPS = 255  # int8 values whose sum fits int16


def over_what_is_read(view: View) -> tuple[Share, ...]:
    """Over the input if output pixel n reads nothing before input pixel n: no output overwrites what a later one reads."""
    x, out, (top, _, left, _), (stride_h, stride_w) = view.input(0), view.out, view.attrs["padding"], view.attrs["stride"]
    rows = np.maximum(np.arange(out.shape[1], dtype=np.int64) * stride_h - top, 0)
    columns = np.maximum(np.arange(out.shape[2], dtype=np.int64) * stride_w - left, 0)
    first = rows[:, None] * x.shape[2] + columns[None, :]
    order = np.arange(first.size, dtype=np.int64).reshape(first.shape)
    return OVER_INPUT if out.size <= x.size and bool((first >= order).all()) else ()


def pool_fields(view: View) -> Fields:
    """The members of the kernels for any core and for DSP."""
    x, out, (top, _, left, _), (low, high) = view.input(0), view.out, view.attrs["padding"], clamp_of(view)
    (kernel_h, kernel_w), (stride_h, stride_w) = view.attrs["kernel"], view.attrs["stride"]
    return {
        "batch": x.shape[0],
        "in_h": x.shape[1],
        "in_w": x.shape[2],
        "channels": x.shape[3],
        "out_h": out.shape[1],
        "out_w": out.shape[2],
        "kernel_h": kernel_h,
        "kernel_w": kernel_w,
        "stride_h": stride_h,
        "stride_w": stride_w,
        "pad_top": top,
        "pad_left": left,
        "low": low,
        "high": high,
    }


def lower_portable(kernel: str, view: View) -> Fit:
    """A pool on any core."""
    return lowered(kernel, pool_fields(view), sharing=over_what_is_read(view))


def lower_dsp(kernel: str, view: View) -> Fit:
    """A pool for the DSP extension: four channels at once, taps summed in 16 bits."""
    taps = math.prod(min(k, s) for k, s in zip(view.attrs["kernel"], view.input(0).shape[1:3], strict=True))
    if view.out.shape[3] < 4:
        return Refused(f"{view.out.shape[3]} channels; the kernel takes four at once")
    if taps > MAX_TAPS:
        return Refused(f"windows of {taps} taps; at most {MAX_TAPS} sum up in 16 bits")
    return lower_portable(kernel, view)


def lower_compact(kernel: str, view: View) -> Fit:
    """A pool with least code."""
    if refused := refused_window(view):
        return refused
    (kernel_h, kernel_w), (low, high) = view.attrs["kernel"], clamp_of(view)
    if max(kernel_h, kernel_w) > RUN:
        return Refused(f"a window of {kernel_h}x{kernel_w}; the kernel counts to {RUN}")
    pool = {
        **place_fields(view),
        "channels": view.input(0).shape[3],
        "kernel_h": kernel_h,
        "kernel_w": kernel_w,
        "low": low,
        "high": high,
    }
    return lowered(kernel, {"pool": pool}, sharing=over_what_is_read(view))
