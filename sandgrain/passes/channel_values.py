"""What each channel of each int8 tensor can hold, whatever the model is given: an interval that is never too small.

A channel is an index of the last axis. Every rule below is sound because the step it describes is monotone in each input:
the ends of the inputs' intervals give the ends of the output's. An op without a rule can give any int8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sandgrain.ir import Array, Graph, Tensor, View
from sandgrain.ops import OPS
from sandgrain.ops.lut import UnaryOp
from sandgrain.ops.weights import bias_of, channel_multipliers, clamp_of, exact_matmul, finish
from sandgrain.quant import INT32_MAX, Int64

MAX_BITS = 16  # of types whose values are tried one by one

Mask = npt.NDArray[np.bool_]
MAX_BROADCAST = 1 << 22  # elements that a rule may spread its intervals over


class Range(NamedTuple):
    """The lowest and the highest int8 value of each channel, both int64 [channels]."""

    low: Int64
    high: Int64

    @property
    def constant(self) -> Mask:
        """The channels that hold one value."""
        return np.asarray(self.low == self.high)


Rule = Callable[[View, Sequence[Range]], Sequence[Range]]


def channels_of(tensor: Tensor) -> int:
    """Extent of the last axis; a scalar has one channel."""
    return tensor.shape[-1] if tensor.shape else 1


def channel_ranges(graph: Graph) -> dict[int, Range]:
    """Tensor index -> `Range`, for the tensors of integers of at most 16 bits."""
    found: dict[int, Range] = {}
    for index, tensor in enumerate(graph.tensors):
        if not tensor.dtype.is_float and tensor.dtype.bits <= MAX_BITS:
            found[index] = _anything(tensor) if tensor.data is None else _held(tensor.data)
    for node in graph.nodes:
        rule = RULES.get(node.op, _table if isinstance(OPS[node.op], UnaryOp) else None)
        if rule is not None and all(i in found for i in (*node.inputs[:1], *node.outputs)):
            known = [found[i] for i in node.inputs if i in found]
            found.update(zip(node.outputs, rule(graph.view(node), known), strict=True))
    return found


def _anything(tensor: Tensor) -> Range:
    count = channels_of(tensor)
    return Range(np.full(count, tensor.dtype.low, np.int64), np.full(count, tensor.dtype.high, np.int64))


def _held(data: Array) -> Range:
    rows = data.reshape(-1, data.shape[-1] if data.ndim else 1)
    return Range(rows.min(axis=0).astype(np.int64), rows.max(axis=0).astype(np.int64))


def _hull(*ranges: Range) -> Range:
    """Channel by channel, what any of them can hold."""
    return Range(np.min([r.low for r in ranges], axis=0), np.max([r.high for r in ranges], axis=0))


def _all_alike(x: Range, count: int) -> Range:
    """`count` channels that each hold anything that any channel of `x` holds."""
    return Range(np.full(count, x.low.min()), np.full(count, x.high.max()))


def rewrapped(x: Range, count: int) -> Range:
    """The same elements in rows of `count`: element p lies in channel p mod channels before, p mod count afterwards."""
    channels = len(x.low)
    if count % channels == 0:
        return Range(np.tile(x.low, count // channels), np.tile(x.high, count // channels))
    if channels % count == 0:
        return Range(x.low.reshape(-1, count).min(axis=0), x.high.reshape(-1, count).max(axis=0))
    return _all_alike(x, count)


# --- weighted ops ---------------------------------------------------------------------------------------------------


def taps_of(view: View) -> tuple[Mask, Mask]:
    """For each tap of the window, row by row: does it ever read the input, does it ever read padding."""
    if "padding" not in view.attrs:
        return np.array([True]), np.array([False])
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


def _axis_taps(kernel: int, dilation: int, stride: int, before: int, size: int, count: int) -> tuple[Mask, Mask]:
    first = np.arange(kernel, dtype=np.int64) * dilation - before  # where the tap is at the first output
    last = first + (count - 1) * stride
    entry = first + np.maximum(-(first // stride), 0) * stride  # its first position that is not before the input
    return (entry < size) & (entry <= last), (first < 0) | (last >= size)


def _tap_bounds(view: View, x: Range) -> tuple[Int64, Int64]:
    """int64 [taps, channels]: the least and the most that a tap reads, less the zero point; padding reads 0."""
    inside, outside = (mask[:, None] for mask in taps_of(view))
    zero = view.input(0).zero_point
    low, high = np.where(inside, x.low - zero, 0), np.where(inside, x.high - zero, 0)
    return np.where(outside, np.minimum(low, 0), low), np.where(outside, np.maximum(high, 0), high)


def _dense(view: View, known: Sequence[Range]) -> list[Range]:
    """conv_2d and fully_connected."""
    weights = view.const(1)
    rows = weights.reshape(weights.shape[0], -1)
    low, high = _tap_bounds(view, rewrapped(known[0], weights.shape[-1]))
    middle = exact_matmul(rows, (low + high).reshape(-1))  # twice the middle of the sums, and twice their radius
    radius = exact_matmul(np.abs(rows.astype(np.int16)), (high - low).reshape(-1))
    return [_finished(view, (middle - radius) // 2, (middle + radius) // 2)]


def _depthwise(view: View, known: Sequence[Range]) -> list[Range]:
    weights = view.const(1)
    rows = weights.reshape(-1, weights.shape[3]).astype(np.int64)
    ends = _tap_bounds(view, known[0])
    low, high = (rows * np.repeat(end, rows.shape[1] // end.shape[1], axis=1) for end in ends)
    return [_finished(view, np.minimum(low, high).sum(axis=0), np.maximum(low, high).sum(axis=0))]


def _finished(view: View, low: Int64, high: Int64) -> Range:
    """Sums without bias to outputs. A left shift that could leave 32 bits wraps, and then any output is possible."""
    count = len(low)
    bias = bias_of(view, count)
    multiplier, shift = channel_multipliers(view, count)
    low, high = low + bias, high + bias
    wraps = (np.maximum(np.abs(low), np.abs(high)) << np.maximum(shift.astype(np.int64), 0)) > INT32_MAX
    ends = [finish(view, end, multiplier, shift).astype(np.int64) for end in (low, high)]
    least, most = clamp_of(view)
    return Range(np.where(wraps, min(least, most), ends[0]), np.where(wraps, most, ends[1]))


# --- the other ops ---------------------------------------------------------------------------------------------------


def _table(view: View, known: Sequence[Range]) -> list[Range]:
    """An op of one value: the least and the most of its table between the ends, monotone or not."""
    dtype = view.input(0).dtype
    every = dtype.values().astype(dtype.numpy)
    flat = replace(view, inputs=(replace(view.input(0), shape=every.shape),), outputs=(replace(view.out, shape=every.shape),))
    table = OPS[view.node.op].reference(flat, [every])[0].astype(np.int64)
    pairs = list(zip(known[0].low - dtype.low, known[0].high - dtype.low, strict=True))
    bounds = {pair: (table[pair[0] : pair[1] + 1].min(), table[pair[0] : pair[1] + 1].max()) for pair in set(pairs)}
    return [Range(np.array([bounds[p][0] for p in pairs]), np.array([bounds[p][1] for p in pairs]))]


def _binary(view: View, known: Sequence[Range]) -> list[Range]:
    """These are monotone in each input while the other stands still: the extremes are at the corners."""
    reference = OPS[view.node.op].reference
    corners = [reference(view, [a, b])[0].astype(np.int64) for a in known[0] for b in known[1]]
    return [Range(np.min(corners, axis=0), np.max(corners, axis=0))]


def _pool(view: View, known: Sequence[Range]) -> list[Range]:
    """The largest and the rounded mean of values of an interval lie in it; padding is left out of both."""
    return [Range(np.clip(known[0].low, *clamp_of(view)), np.clip(known[0].high, *clamp_of(view)))]


def _mean(view: View, known: Sequence[Range]) -> list[Range]:
    x = view.input(0)
    if x.size > MAX_BROADCAST:
        return [_anything(view.out)]
    ends = [OPS["mean"].reference(view, [np.broadcast_to(end, x.shape)])[0] for end in known[0]]
    return [Range(_held(ends[0]).low, _held(ends[1]).high)]


def _pad(view: View, known: Sequence[Range]) -> list[Range]:
    x, value, (*space, (before, after)) = known[0], view.attrs["value"], view.attrs["paddings"]
    if any(p for pair in space for p in pair):
        x = Range(np.minimum(x.low, value), np.maximum(x.high, value))
    low, high = (np.concatenate([np.full(before, value), end, np.full(after, value)]) for end in x)
    return [Range(low, high)]


def _concatenation(view: View, known: Sequence[Range]) -> list[Range]:
    if view.attrs["axis"] % len(view.out.shape) == len(view.out.shape) - 1:
        return [Range(np.concatenate([r.low for r in known]), np.concatenate([r.high for r in known]))]
    return [_hull(*known)]


def _split(view: View, known: Sequence[Range]) -> list[Range]:
    if view.attrs["axis"] % len(view.input(0).shape) != len(view.input(0).shape) - 1:
        return [known[0]] * len(view.outputs)
    lows, highs = (np.split(end, len(view.outputs)) for end in known[0])
    return [Range(low, high) for low, high in zip(lows, highs, strict=True)]


def _transpose(view: View, known: Sequence[Range]) -> list[Range]:
    perm = view.attrs["perm"]
    return [known[0] if not perm or perm[-1] == len(perm) - 1 else _all_alike(known[0], channels_of(view.out))]


def _strided_slice(view: View, known: Sequence[Range]) -> list[Range]:
    a, last = view.attrs, len(view.input(0).shape) - 1
    if last < 0 or last in a["drop"]:
        return [_all_alike(known[0], channels_of(view.out))]
    taken = a["start"][last] + a["stride"][last] * np.arange(a["size"][last])
    return [Range(known[0].low[taken], known[0].high[taken])]


RULES: dict[str, Rule] = {
    "conv_2d": _dense, "fully_connected": _dense, "depthwise_conv_2d": _depthwise,
    "add": _binary, "sub": _binary, "mul": _binary, "maximum": _binary, "minimum": _binary,
    "average_pool_2d": _pool, "max_pool_2d": _pool, "mean": _mean,
    "pad": _pad, "concatenation": _concatenation, "split": _split,
    "transpose": _transpose, "strided_slice": _strided_slice,
    "resize_nearest_neighbor": lambda view, known: [known[0]], "resize_bilinear": lambda view, known: [known[0]],
    "reshape": lambda view, known: [rewrapped(known[0], channels_of(view.out))],
}  # fmt: skip
