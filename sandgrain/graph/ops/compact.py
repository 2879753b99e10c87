"""Kernels of least code: plain loops that all layers of a kind share, narrow parameters, eight bytes of table a channel.

`--optimize size` weighs them against the others. They are proven for one image at a time, sizes of 16 bits and multipliers below 1;
whatever else there is keeps its other kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, Fields, In, Kernel, Out, Scratch, i8, i32
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.ops.conv_dsp import is_pointwise, lead
from sandgrain.graph.quantization import Int64

SHIFT_BITS = 5  # of a table's first word; the bias has the rest
BIAS_LIMIT = 1 << (31 - SHIFT_BITS)
SUM_LIMIT = 1 << 29  # of what sg_compact_scale is given
SIDE, RUN, TAP = (1 << 15) - 1, (1 << 16) - 1, (1 << 8) - 1  # what int16_t, uint16_t and uint8_t hold
DSP = frozenset({"dsp"})


def scale(multiplier: int, shift: int) -> tuple[int, int] | None:
    """(doubled, shift) as sg_compact_scale takes them, or None."""
    return (2 * multiplier - (1 << 32), 1 - shift) if multiplier >= 1 << 30 and 1 <= 1 - shift <= 30 else None


def _table(view: View, rows: Int64) -> Array | None:
    """int32 [channels, 2], as sg_compact.h says, for weights [channels, taps]; None where a channel does not fit."""
    scales = [scale(int(m), int(s)) for m, s in zip(*channel_multipliers(view, len(rows)), strict=True)]
    bias = bias_of(view, len(rows)).astype(np.int64) - view.input(0).zero_point * rows.sum(axis=1)
    reach = np.abs(bias) - INT8.low * np.abs(rows).sum(axis=1)
    if (np.abs(bias) >= BIAS_LIMIT).any() or (reach >= SUM_LIMIT).any():
        return None
    found = [s for s in scales if s is not None]
    if len(found) < len(scales):
        return None
    return i32([[(int(b) << SHIFT_BITS) + shift, doubled] for b, (doubled, shift) in zip(bias, found, strict=True)])


def limits(view: View) -> Fields:
    """struct sg_limits."""
    low, high = clamp_of(view)
    return {"zero_point": view.out.zero_point, "low": low, "high": high}


def _rows(view: View, weights: Array, advance: int = 0) -> Fields:
    """struct sg_rows for weights [units, depth]."""
    table = _table(view, weights.astype(np.int64))
    assert table is not None, "accepted"
    units, depth = weights.shape
    return {"weights": weights, "table": table, "depth": depth, "units": units, "advance": advance, "limits": limits(view)}


def _by_unit(view: View) -> Array:
    """[units, depth] of weights whose channels are axis 0."""
    weights = view.const(1)
    return weights.reshape(len(weights), -1)


def _by_channel(view: View) -> Array:
    """[channels, taps] of depthwise weights [1, h, w, channels]."""
    weights = view.const(1)
    return np.ascontiguousarray(weights.reshape(-1, weights.shape[3]).T)


def _fit(view: View, weights: Array) -> bool:
    """Rows [units, depth] that the table holds, of sizes that the parameters hold."""
    return (
        weights.size > 0
        and max(weights.shape) <= RUN
        and view.out.size > 0
        and _table(view, weights.astype(np.int64)) is not None
    )


# --- fully connected, and convolutions that are ---------------------------------------------------------------------


def _lower_dense(view: View) -> tuple[Call, ...]:
    rows = _rows(view, _by_unit(view))
    fields = {"rows": rows, "runs": view.input(0).size // rows["depth"]}
    return (Call("portable/dense_compact_s8.h", fields, (In(0), Out(0))),)


def _dense_overlap(view: View) -> tuple[tuple[int, int], ...]:
    """All outputs of a run are written while its inputs are still read."""
    units, depth = _by_unit(view).shape
    runs = view.input(0).size // depth
    return ((0, max(units, runs * units - (runs - 1) * depth)),)


def _dense(accepts: Callable[[View], bool]) -> Kernel:
    return Kernel("dense_compact_s8", _lower_dense, accepts=accepts, overlap=_dense_overlap, compact=True, helped_by=DSP)


# --- windows --------------------------------------------------------------------------------------------------------


def _spans(view: View) -> tuple[int, int]:
    """(y_end, x_end): where along each axis no window starts any more."""
    (top, _, left, _), (stride_h, stride_w) = view.attrs["padding"], view.attrs["stride"]
    return view.out.shape[1] * stride_h - top, view.out.shape[2] * stride_w - left


def _window_fits(view: View, *taps: int) -> bool:
    """One image, and every size within the parameters; `taps`: those that have a byte."""
    (top, _, left, _), x = view.attrs["padding"], view.input(0)
    return (
        x.shape[0] == 1 and view.out.size > 0 and max(*x.shape, *_spans(view)) <= SIDE
        and max(top, left, *view.attrs["stride"], *taps) <= TAP
    )  # fmt: skip


def _places(view: View) -> Fields:
    """Fields of windows that the convolutions and the pools have."""
    (top, _, left, _), (stride_h, stride_w) = view.attrs["padding"], view.attrs["stride"]
    (_, in_h, in_w, _), (y_end, x_end) = view.input(0).shape, _spans(view)
    return {
        "in_h": in_h, "in_w": in_w, "y_end": y_end, "x_end": x_end,
        "stride_h": stride_h, "stride_w": stride_w, "pad_top": top, "pad_left": left,
    }  # fmt: skip


def _window(view: View, step: int) -> Fields:
    """struct sg_window of a convolution."""
    (kernel_h, kernel_w), (dilation_h, dilation_w) = view.input(1).shape[1:3], view.attrs["dilation"]
    return {
        **_places(view), "in_c": view.input(0).shape[3], "step": step, "kernel_h": kernel_h, "kernel_w": kernel_w,
        "dilation_h": dilation_h, "dilation_w": dilation_w,
        "outside": int.from_bytes(i8([view.input(0).zero_point] * 4).tobytes(), "little", signed=True),
    }  # fmt: skip


def _taps(view: View) -> int:
    return math.prod(view.input(1).shape[1:3])


def _window_kernel(stem: str, accepts: Callable[[View], bool], fields: Callable[[View], Fields]) -> Kernel:
    def accepted(view: View) -> bool:
        return _window_fits(view, *view.input(1).shape[1:3], *view.attrs["dilation"]) and accepts(view)

    def lower(view: View) -> tuple[Call, ...]:
        return (Call("portable/conv_compact_s8.h", fields(view), (In(0), Out(0), Scratch())),)

    return Kernel(
        stem, lower, accepts=accepted, scratch=lambda view: _taps(view) * view.input(0).shape[3],
        overlap=lambda view: ((0, lead(view, 1)),), compact=True, helped_by=DSP,
    )  # fmt: skip


def _accepts_depthwise(view: View) -> bool:
    """One output channel an input channel."""
    return view.out.shape[3] == view.input(0).shape[3] and _fit(view, _by_channel(view))


CONV_COMPACT = (
    _window_kernel(
        "conv_compact_s8", lambda view: _fit(view, _by_unit(view)),
        lambda view: {"rows": _rows(view, _by_unit(view)), "window": _window(view, 1)},
    ),
    _dense(lambda view: is_pointwise(view) and _fit(view, _by_unit(view))),
)  # fmt: skip
DENSE_COMPACT = _dense(lambda view: _fit(view, _by_unit(view)))
DEPTHWISE_COMPACT = _window_kernel(
    "conv_compact_s8", _accepts_depthwise,
    lambda view: {"rows": _rows(view, _by_channel(view), _taps(view)), "window": _window(view, _taps(view))},
)  # fmt: skip


# --- pools ----------------------------------------------------------------------------------------------------------


def pool_compact(stem: str, in_place: Callable[[View], tuple[int, ...]]) -> Kernel:
    def accepts(view: View) -> bool:
        return _window_fits(view) and max(view.attrs["kernel"]) <= RUN

    def lower(view: View) -> tuple[Call, ...]:
        (kernel_h, kernel_w), (low, high) = view.attrs["kernel"], clamp_of(view)
        pool: Fields = {
            **_places(view),
            "channels": view.input(0).shape[3],
            "kernel_h": kernel_h,
            "kernel_w": kernel_w,
            "low": low,
            "high": high,
        }
        return (Call(f"portable/{stem}.h", {"pool": pool}, (In(0), Out(0))),)

    return Kernel(stem, lower, accepts=accepts, in_place=in_place, compact=True)
