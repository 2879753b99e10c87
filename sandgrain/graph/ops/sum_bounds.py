"""What the weighted sums of a linear layer can reach, from what each of its input channels can hold."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.channels import Interval, Mask, rewrapped
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of, exact_matmul, finish
from sandgrain.graph.quantization import INT32_MAX, Int64

Taps = tuple[Mask, Mask]


def window_taps(view: View) -> Taps:
    """For each tap of a convolution's window, row by row: does it ever read the input, does it ever read padding."""
    x, out, weights, a = view.input(0), view.out, view.input(1), view.attrs
    pads = (a["padding"][0], a["padding"][2])
    axes = [
        _axis_taps(weights.shape[k + 1], a["dilation"][k], a["stride"][k], pads[k], x.shape[k + 1], out.shape[k + 1])
        for k in (0, 1)
    ]
    (row_in, row_out), (column_in, column_out) = axes
    inside = row_in[:, None] & column_in
    outside = row_out[:, None] | column_out
    return inside.reshape(-1), outside.reshape(-1)


def _axis_taps(kernel: int, dilation: int, stride: int, before: int, size: int, count: int) -> Taps:
    first = np.arange(kernel, dtype=np.int64) * dilation - before  # where the tap is at the first output
    last = first + (count - 1) * stride
    entry = first + np.maximum(-(first // stride), 0) * stride  # its first position that is not before the input
    return (entry < size) & (entry <= last), (first < 0) | (last >= size)


def dense_interval(view: View, taps: Taps, x: Interval) -> Interval:
    """Of a layer whose every output reads all input channels: weights [outputs, taps..., columns]."""
    weights = view.const(1)
    rows = weights.reshape(weights.shape[0], -1)
    low, high = _tap_bounds(view, taps, rewrapped(x, weights.shape[-1]))
    middle = exact_matmul(rows, (low + high).reshape(-1))  # twice the middle of the sums, and twice their radius
    radius = exact_matmul(np.abs(rows.astype(np.int16)), (high - low).reshape(-1))
    return _finished(view, (middle - radius) // 2, (middle + radius) // 2)


def depthwise_interval(view: View, taps: Taps, x: Interval) -> Interval:
    """Of a layer whose every output reads one input channel: weights [1, height, width, outputs]."""
    weights = view.const(1)
    rows = weights.reshape(-1, weights.shape[3]).astype(np.int64)
    low, high = (rows * np.repeat(end, rows.shape[1] // end.shape[1], axis=1) for end in _tap_bounds(view, taps, x))
    return _finished(view, np.minimum(low, high).sum(axis=0), np.maximum(low, high).sum(axis=0))


def _tap_bounds(view: View, taps: Taps, x: Interval) -> tuple[Int64, Int64]:
    """int64 [taps, channels]: the least and the most that a tap reads, less the zero point; padding reads 0."""
    inside, outside = (mask[:, None] for mask in taps)
    zero = view.input(0).zero_point
    low, high = np.where(inside, x.low - zero, 0), np.where(inside, x.high - zero, 0)
    return np.where(outside, np.minimum(low, 0), low), np.where(outside, np.maximum(high, 0), high)


def _finished(view: View, low: Int64, high: Int64) -> Interval:
    """Sums without bias to outputs. A left shift that could leave 32 bits wraps, and then any output is possible."""
    count = len(low)
    bias = bias_of(view, count)
    multiplier, shift = channel_multipliers(view, count)
    low, high = low + bias, high + bias
    wraps = (np.maximum(np.abs(low), np.abs(high)) << np.maximum(shift.astype(np.int64), 0)) > INT32_MAX
    ends = [finish(view, end, multiplier, shift).astype(np.int64) for end in (low, high)]
    least, most = clamp_of(view)
    return Interval(np.where(wraps, min(least, most), ends[0]), np.where(wraps, most, ends[1]))
