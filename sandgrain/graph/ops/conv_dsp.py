"""Convolution and fully connected layers for cores with the DSP extension: packed streams, proofs, memory overlap.

The kernels in `kernels/armv7em` read one stream of words a layer. What the words mean is said in `sg_block_2x4.h` and
`fully_connected_dsp_s8.h`; what makes them exact is proven here, from the weights, channel by channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch, i32
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.quantization import Int32, Int64, requantize

DSP = frozenset({"dsp"})
CONV_BLOCK = 4  # output channels of a block of the convolutions
DENSE_BLOCK = 8  # units of a block of the fully connected layer
HALF = 1 << 15
SPLIT = 1 << 23  # the second channel of a pair comes out of the upper 24 bits of its sum
MIN_RIGHT, MAX_RIGHT = 2, 31  # right shifts that a product with 2^(32 - right) can do


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """A layer's output channels as the kernels want them.

    `weights`: int64 [channels, inputs]; `bias`: int64 with the input zero point's share; `doubled`, `power`: int32, see
    `sg_requantize_dsp`. `low`, `high`: int64, the least and the greatest sum that any int8 input can give.
    """

    weights: Int64
    bias: Int64
    doubled: Int32
    power: Int32
    low: Int64
    high: Int64


def channels_of(view: View) -> Channels | None:
    """The channels of a layer whose weights lie along axis 0, or None when some multiplier is out of the kernels' reach.

    A channel whose output cannot vary gets zero weights and a bias that yields that output.
    """
    multiplier, shift = channel_multipliers(view, view.input(1).shape[0])
    zero = view.out.zero_point
    weights = view.const(1).reshape(multiplier.size, -1).astype(np.int64)
    bias = bias_of(view, multiplier.size).astype(np.int64) - view.input(0).zero_point * weights.sum(axis=1)
    low, high = _reach(weights, bias)
    first, last = (np.clip(requantize(acc, multiplier, shift) + zero, *clamp_of(view)) for acc in (low, high))
    # Sums that a left shift would wrap do not keep their order, so only a lone value proves a constant there.
    constant = (first == last) & ((shift <= 0) | (low == high))
    right = -shift.astype(np.int64)
    if not np.all(constant | ((right >= MIN_RIGHT) & (right <= MAX_RIGHT) & (multiplier >= 1 << 30))):
        return None
    weights = np.where(constant[:, None], 0, weights)
    bias = np.where(constant, 4 * (first.astype(np.int64) - zero), bias)
    doubled = np.where(constant, 0, 2 * multiplier.astype(np.int64) - (1 << 32)).astype(np.int32)
    power = np.where(constant, 1 << 30, np.int64(1) << (32 - np.clip(right, MIN_RIGHT, MAX_RIGHT))).astype(np.int32)
    return Channels(weights, bias, doubled, power, *_reach(weights, bias))


def _reach(weights: Int64, bias: Int64) -> tuple[Int64, Int64]:
    """The least and the greatest value of bias + weights . x for int8 x."""
    down, up = weights * INT8.low, weights * INT8.high
    return bias + np.minimum(down, up).sum(axis=1), bias + np.maximum(down, up).sum(axis=1)


def blocks_of(channels: int, size: int) -> Int64:
    """[blocks, size] channel numbers: whole blocks, then the last `size` channels again where some are left over.

    Fewer channels than a block repeat the last one.
    """
    whole = np.arange(channels - channels % size).reshape(-1, size)
    if channels % size == 0:
        return whole
    last = np.maximum(np.arange(channels - size, channels), 0) if channels >= size else np.minimum(np.arange(size), channels - 1)
    return np.concatenate([whole, last[None]])


def stream_of(c: Channels, size: int) -> Array | None:
    """int32 [blocks, words]: what a kernel with blocks of `size` channels reads; None when two weights do not share a word.

    Inputs are padded with zero weights to a multiple of four.
    """
    inputs = c.weights.shape[1]
    padded = np.pad(c.weights, ((0, 0), (0, -inputs % 4)))
    numbers = blocks_of(len(c.bias), size)
    first, second = numbers[:, 0::2], numbers[:, 1::2]
    halves = padded[first] + 256 * padded[second]  # [blocks, size / 2, inputs]
    if halves.min(initial=0) < -HALF or halves.max(initial=0) >= HALF:
        return None
    if (c.low[second] < -SPLIT).any() or (c.high[second] >= SPLIT).any():
        return None
    start = np.stack([c.bias[first], c.bias[first] + 256 * c.bias[second]], axis=2).reshape(len(numbers), -1)
    # [blocks, couples, fours, (c0 c1 | c2 c3), even or odd] to [blocks, fours, even or odd, couples, halves of a word]
    fours = halves.reshape(*halves.shape[:2], -1, 2, 2).transpose(0, 2, 4, 1, 3)
    words = np.ascontiguousarray(fours).astype("<i2").reshape(len(numbers), -1).view("<i4")
    scales = np.stack([c.doubled[numbers], c.power[numbers]], axis=2).reshape(len(numbers), -1)
    return np.concatenate([start.astype(np.int32), words, scales], axis=1).astype(np.int32)


def _gathered(view: View, channels: Channels) -> Channels:
    """Weights in the order in which windows are gathered: whole words of each row, then what is left of each row."""
    _, kernel_h, kernel_w, in_c = view.input(1).shape
    places = np.arange(kernel_h * kernel_w * in_c).reshape(kernel_h, -1)
    whole = places.shape[1] // 4 * 4
    order = np.concatenate([places[:, :whole].reshape(-1), places[:, whole:].reshape(-1)])
    return replace(channels, weights=channels.weights[:, order])


def conv_stream(view: View) -> Array | None:
    """The stream of a convolution by windows; None where the kernels are not exact for it."""
    channels = channels_of(view)
    channels = None if channels is None else _gathered(view, channels)
    return None if channels is None else stream_of(channels, CONV_BLOCK)


def _accepts_conv(view: View) -> bool:
    return view.out.size > 0 and conv_stream(view) is not None


def is_pointwise(view: View) -> bool:
    a = view.attrs
    return view.input(1).shape[1:3] == (1, 1) and tuple(a["stride"]) == (1, 1) and not any(a["padding"])


def _accepts_pointwise(view: View) -> bool:
    return is_pointwise(view) and _accepts_conv(view)


def _widens(view: View) -> bool:
    return view.out.shape[3] > view.input(0).shape[3]


def _common(view: View) -> dict[str, int | float | tuple[int, ...] | Array]:
    """Fields of both convolutions."""
    stream = conv_stream(view)
    assert stream is not None
    low, high = clamp_of(view)
    size = stream.shape[1]
    return {
        "stream": stream, "tail": view.out.shape[3] // CONV_BLOCK * size, "end": stream.size,
        "in_c": view.input(0).shape[3], "out_c": view.out.shape[3], "zero_point": view.out.zero_point,
        "exact": int(low < view.out.zero_point), "low": low, "high": high,
    }  # fmt: skip


def _fours(view: View) -> int:
    return -(-int(np.prod(view.input(1).shape[1:])) // 4)


def _lower_pointwise(view: View) -> tuple[Call, ...]:
    fields = _common(view)
    fields |= {"pixels": view.input(0).size // view.input(0).shape[3], "backward": int(_widens(view))}
    return (Call("armv7em/conv_pointwise_s8.h", fields, (In(0), Out(0), Scratch())),)


def _lower_window(view: View) -> tuple[Call, ...]:
    x, out = view.input(0), view.out
    _, kernel_h, kernel_w, in_c = view.input(1).shape
    (stride_h, stride_w), (dilation_h, dilation_w) = view.attrs["stride"], view.attrs["dilation"]
    top, _, left, _ = view.attrs["padding"]
    fields = _common(view)
    fields |= {
        "blank": np.full(in_c, x.zero_point, np.int8), "words": _fours(view), "row_bytes": kernel_w * in_c,
        "room_h": _room(x.shape[1], kernel_h, dilation_h),
        "room_w": _room(x.shape[2], kernel_w, dilation_w) if dilation_w == 1 or kernel_w == 1 else 0,
        "batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "out_h": out.shape[1], "out_w": out.shape[2],
        "kernel_h": kernel_h, "kernel_w": kernel_w, "stride_h": stride_h, "stride_w": stride_w,
        "dilation_h": dilation_h, "dilation_w": dilation_w, "pad_top": top, "pad_left": left,
    }  # fmt: skip
    return (Call("armv7em/conv_window_s8.h", fields, (In(0), Out(0), Scratch())),)


def _room(size: int, taps: int, dilation: int) -> int:
    """How many starts along one axis leave a window wholly inside."""
    return max(0, size - (taps - 1) * dilation)


def _pointwise_scratch(view: View) -> int:
    return 16 * _fours(view)


def _window_scratch(view: View) -> int:
    """Two widened windows; two more as bytes where channels do not come in fours."""
    return (16 + (8 if view.input(0).shape[3] % 4 else 0)) * _fours(view)


def _window_overlap(view: View) -> tuple[tuple[int, int], ...]:
    return ((0, lead(view)),)


def lead(view: View, at_once: int = 2) -> int:
    """How many bytes before its input the output of a window kernel must start at least, to run into it safely.

    The kernel gathers `at_once` pixels (1 or 2), then writes them: after that the output's end may not pass the lowest input
    byte that a later pixel reads.
    """
    batch, in_h, in_w, in_c = view.input(0).shape
    out = view.out
    top, _, left, _ = view.attrs["padding"]
    kernel = view.input(1).shape[1:3]
    rows = _first_inside(out.shape[1], view.attrs["stride"][0], view.attrs["dilation"][0], kernel[0], top, in_h)
    columns = _first_inside(out.shape[2], view.attrs["stride"][1], view.attrs["dilation"][1], kernel[1], left, in_w)
    outside = batch * in_h * in_w * in_c
    start = np.where((rows[:, None] < 0) | (columns[None] < 0), outside, (rows[:, None] * in_w + columns[None]) * in_c)
    images = np.arange(batch)[:, None] * (in_h * in_w * in_c)
    pixels = np.minimum(images + start.reshape(1, -1), outside)
    starts = pixels[:, 0::at_once]  # of each pair, the lower of its pixels
    odd = pixels[:, 1::at_once] if at_once > 1 else pixels[:, :0]
    starts[:, : odd.shape[1]] = np.minimum(starts[:, : odd.shape[1]], odd)
    count = pixels.shape[1]
    written = np.minimum(np.arange(1, starts.shape[1] + 1) * at_once, count) + np.arange(batch)[:, None] * count
    needed = np.minimum.accumulate(starts.reshape(-1)[::-1])[::-1][1:]
    return max(0, int((written.reshape(-1)[:-1] * out.shape[3] - needed).max(initial=0)))


def _first_inside(count: int, stride: int, dilation: int, taps: int, before: int, size: int) -> Int64:
    """Along one axis, for each of `count` windows: the lowest position inside the input that it reads, -1 for none."""
    start = np.arange(count, dtype=np.int64) * stride - before
    skipped = np.maximum(-(start // dilation), 0)
    position = start + skipped * dilation
    return np.where((skipped < taps) & (position < size), position, -1)


CONV_KERNELS = (
    Kernel(
        "conv_pointwise_dsp",
        _lower_pointwise,
        DSP,
        _accepts_pointwise,
        _pointwise_scratch,
        lambda view: (0,),  # where it widens, it walks backwards
    ),
    Kernel("conv_window_dsp", _lower_window, DSP, _accepts_conv, _window_scratch, overlap=_window_overlap),
)


# --- fully connected -------------------------------------------------------------------------------------------------


def _dense_stream(view: View) -> Array | None:
    channels = channels_of(view)
    return None if channels is None else stream_of(channels, DENSE_BLOCK)


def _accepts_dense(view: View) -> bool:
    """Whole words of inputs, and a block of units at least."""
    units, depth = view.input(1).shape
    return depth % 4 == 0 and units >= DENSE_BLOCK and view.out.size > 0 and _dense_stream(view) is not None


def _lower_dense(view: View) -> tuple[Call, ...]:
    units, depth = view.input(1).shape
    stream = _dense_stream(view)
    assert stream is not None
    low, high = clamp_of(view)
    fields: dict[str, int | float | tuple[int, ...] | Array] = {
        "stream": i32(stream), "tail": units // DENSE_BLOCK * stream.shape[1], "end": stream.size,
        "batch": view.input(0).size // depth, "depth": depth, "units": units, "zero_point": view.out.zero_point,
        "exact": int(low < view.out.zero_point), "low": low, "high": high,
    }  # fmt: skip
    return (Call("armv7em/fully_connected_dsp_s8.h", fields, (In(0), Out(0))),)


DENSE_KERNELS = (Kernel("fully_connected_dsp", _lower_dense, DSP, _accepts_dense),)
