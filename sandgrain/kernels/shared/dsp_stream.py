"""Weights packed for cores with the DSP extension, two to a word, and the proof that two channels can share a sum.

What the words mean is said in `conv/sg_block_2x4.h` and `dense/fully_connected_dsp_s8.h`; what makes them exact is proven
here, from the weights, channel by channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.graph.quantization import Int32, Int64, requantize
from sandgrain.kernels.base import Fields, Refused
from sandgrain.kernels.shared.windows import by_unit, folded_bias

CONV_BLOCK = 4  # output channels of a block of the convolutions
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


def channels_of(view: View) -> Channels | Refused:
    """The channels of a layer whose weights lie along axis 0, or which of them has a multiplier out of the kernels' reach.

    A channel whose output cannot vary gets zero weights and a bias that yields that output.
    """
    multiplier, shift = channel_multipliers(view, view.input(1).shape[0])
    zero = view.out.zero_point
    weights = by_unit(view).astype(np.int64)
    bias = folded_bias(view, weights)
    low, high = _reach(weights, bias)
    first, last = (np.clip(requantize(acc, multiplier, shift) + zero, *clamp_of(view)) for acc in (low, high))
    # Sums that a left shift would wrap do not keep their order, so only a lone value proves a constant there.
    constant = (first == last) & ((shift <= 0) | (low == high))
    right = -shift.astype(np.int64)
    possible = constant | ((right >= MIN_RIGHT) & (right <= MAX_RIGHT) & (multiplier >= 1 << 30))
    if not possible.all():
        channel = int(np.argmin(possible))
        return Refused(f"channel {channel} is shifted right by {right[channel]}; the kernel shifts by {MIN_RIGHT} to {MAX_RIGHT}")
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


def stream_of(c: Channels, size: int) -> Array | Refused:
    """int32 [blocks, words]: what a kernel with blocks of `size` channels reads, or which channel's weights do not share a word.

    Inputs are padded with zero weights to a multiple of four.
    """
    inputs = c.weights.shape[1]
    padded = np.pad(c.weights, ((0, 0), (0, -inputs % 4)))
    numbers = blocks_of(len(c.bias), size)
    first, second = numbers[:, 0::2], numbers[:, 1::2]
    halves = padded[first] + 256 * padded[second]  # [blocks, size / 2, inputs]
    if (wide := (halves < -HALF) | (halves >= HALF)).any():
        # Only the second channel's least weight can be too far down for a sum with a negative one.
        return Refused(f"two weights do not share a word: channel {second.reshape(-1)[int(wide.any(axis=2).argmax())]}")
    if (wide := (c.low[second] < -SPLIT) | (c.high[second] >= SPLIT)).any():
        return Refused(f"the sums of channel {second.reshape(-1)[int(wide.argmax())]} need more than 24 bits")
    start = np.stack([c.bias[first], c.bias[first] + 256 * c.bias[second]], axis=2).reshape(len(numbers), -1)
    # [blocks, couples, fours, (c0 c1 | c2 c3), even or odd] to [blocks, fours, even or odd, couples, halves of a word]
    fours = halves.reshape(*halves.shape[:2], -1, 2, 2).transpose(0, 2, 4, 1, 3)
    words = np.ascontiguousarray(fours).astype("<i2").reshape(len(numbers), -1).view("<i4")
    scales = np.stack([c.doubled[numbers], c.power[numbers]], axis=2).reshape(len(numbers), -1)
    return np.concatenate([start.astype(np.int32), words, scales], axis=1).astype(np.int32)


def _gathered(view: View, channels: Channels) -> Channels:
    """Weights in the order in which windows are gathered: whole words of each row, then the remaining bytes of each row."""
    _, kernel_h, kernel_w, in_c = view.input(1).shape
    places = np.arange(kernel_h * kernel_w * in_c).reshape(kernel_h, -1)
    whole = places.shape[1] // 4 * 4
    order = np.concatenate([places[:, :whole].reshape(-1), places[:, whole:].reshape(-1)])
    return replace(channels, weights=channels.weights[:, order])


def conv_stream(view: View) -> Array | Refused:
    """The stream of a convolution by windows, or why the kernels are not exact for it."""
    channels = channels_of(view)
    return channels if isinstance(channels, Refused) else stream_of(_gathered(view, channels), CONV_BLOCK)


def conv_fields(view: View) -> Fields | Refused:
    """The members that the convolutions have."""
    if view.out.size == 0:
        return Refused("the output is empty")
    stream = conv_stream(view)
    if isinstance(stream, Refused):
        return stream
    low, high = clamp_of(view)
    return {
        "packed_weights": stream,
        "partial_block_begin": view.out.shape[3] // CONV_BLOCK * stream.shape[1],
        "partial_block_end": stream.size,
        "in_c": view.input(0).shape[3],
        "out_c": view.out.shape[3],
        "zero_point": view.out.zero_point,
        "round_half_away": int(low < view.out.zero_point),
        "low": low,
        "high": high,
    }


def words_of(view: View) -> int:
    """Words of four inputs of a window."""
    return -(-int(np.prod(view.input(1).shape[1:])) // 4)


def window_scratch(view: View, words: int) -> int:
    """Bytes of two widened windows of `words`; of two more as they are where channels do not come in fours."""
    return (16 + (8 if view.input(0).shape[3] % 4 else 0)) * words
