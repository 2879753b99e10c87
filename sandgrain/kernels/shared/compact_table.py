"""Tables of the kernels of least code: plain loops that all layers of a kind share, eight bytes of table per channel.

They are proven for one image at a time, sizes of 16 bits and multipliers below 1; other layers keep their other kernels. The
C is in `sg_compact.h`.
"""

from __future__ import annotations

import numpy as np

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import i32
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.kernels.base import Fields, Refused
from sandgrain.kernels.shared.windows import folded_bias

SHIFT_BITS = 5  # of a table's first word; the bias has the rest
BIAS_LIMIT = 1 << (31 - SHIFT_BITS)
SUM_LIMIT = 1 << 29  # of what sg_compact_scale is given
SIDE, RUN, TAP = (1 << 15) - 1, (1 << 16) - 1, (1 << 8) - 1  # what int16_t, uint16_t and uint8_t hold


def scale(multiplier: int, shift: int) -> tuple[int, int] | None:
    """(doubled, shift) as sg_compact_scale takes them, or None."""
    return (2 * multiplier - (1 << 32), 1 - shift) if multiplier >= 1 << 30 and 1 <= 1 - shift <= 30 else None


def _table(view: View, rows: Array) -> Array | Refused:
    """int32 [channels, 2], as sg_compact.h says, for weights [channels, taps], or which channel does not fit."""
    bias = folded_bias(view, rows)
    reach = np.abs(bias) - INT8.low * np.abs(rows.astype(np.int64)).sum(axis=1)
    if (wide := np.abs(bias) >= BIAS_LIMIT).any():
        return Refused(f"the bias of channel {int(wide.argmax())} needs more than {32 - SHIFT_BITS} bits")
    if (wide := reach >= SUM_LIMIT).any():
        return Refused(f"the sums of channel {int(wide.argmax())} need more than 30 bits")
    entries = []
    for channel, (m, s) in enumerate(zip(*channel_multipliers(view, len(rows)), strict=True)):
        scaled = scale(int(m), int(s))
        if scaled is None:
            return Refused(f"channel {channel} is shifted right by {-int(s)}; the kernel shifts by 0 to 29")
        entries.append([(int(bias[channel]) << SHIFT_BITS) + scaled[1], scaled[0]])
    return i32(entries)


def limits(view: View) -> Fields:
    """struct sg_limits."""
    low, high = clamp_of(view)
    return {"zero_point": view.out.zero_point, "low": low, "high": high}


def rows_fields(view: View, weights: Array, advance: int = 0) -> Fields | Refused:
    """struct sg_rows for weights [units, depth], or why the table or the parameters cannot hold them."""
    if weights.size == 0 or view.out.size == 0:
        return Refused("the layer is empty")
    if max(weights.shape) > RUN:
        return Refused(f"{weights.shape[0]} rows of {weights.shape[1]} weights; the kernel counts to {RUN}")
    table = _table(view, weights)
    if isinstance(table, Refused):
        return table
    units, depth = weights.shape
    return {"weights": weights, "table": table, "depth": depth, "units": units, "advance": advance, "limits": limits(view)}


def refused_window(view: View, *taps: int) -> Refused | None:
    """Why a window does not fit the parameters: one image, and every size in its few bits; `taps`: those that have a byte."""
    (top, _, left, _), x = view.attrs["padding"], view.input(0)
    if x.shape[0] != 1:
        return Refused(f"{x.shape[0]} images at once; the kernel takes one")
    if view.out.size == 0:
        return Refused("the output is empty")
    if max(*x.shape, *_spans(view)) > SIDE:
        return Refused(f"an image of {x.shape[1]}x{x.shape[2]}x{x.shape[3]}; the kernel counts to {SIDE}")
    if max(top, left, *view.attrs["stride"], *taps) > TAP:
        return Refused(f"a kernel, stride, dilation or padding above {TAP}")
    return None


def place_fields(view: View) -> Fields:
    """Members of windows that the convolutions and the pools have."""
    (top, _, left, _), (stride_h, stride_w) = view.attrs["padding"], view.attrs["stride"]
    (_, in_h, in_w, _), (y_end, x_end) = view.input(0).shape, _spans(view)
    return {
        "in_h": in_h,
        "in_w": in_w,
        "y_end": y_end,
        "x_end": x_end,
        "stride_h": stride_h,
        "stride_w": stride_w,
        "pad_top": top,
        "pad_left": left,
    }


def _spans(view: View) -> tuple[int, int]:
    """(y_end, x_end): where along each axis no window starts any more."""
    (top, _, left, _), (stride_h, stride_w) = view.attrs["padding"], view.attrs["stride"]
    return view.out.shape[1] * stride_h - top, view.out.shape[2] * stride_w - left
