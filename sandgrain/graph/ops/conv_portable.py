"""Convolutions for cores without DSP: packed weights, rescaling tables, memory overlap."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.ops.steps import Steps, find_steps
from sandgrain.graph.quantization import Int64

Fields = dict[str, int | float | tuple[int, ...] | Array]

BLOCK = 4  # output channels of a block of sg_block_4x2.h


def pair_fields(view: View, weights: Array) -> Fields:
    """The members of struct sg_conv_2d_pair_s8 for a convolution with OHWI `weights`."""
    x, out, steps = view.input(0), view.out, rescaling_steps(view, weights)
    assert steps is not None
    rows = in_order(weights)
    out_c, depth = rows.shape
    blocks, cut = out_c // BLOCK, groups(out_c, BLOCK)
    (top, _, left, _), (low, high) = view.attrs["padding"], clamp_of(view)
    (stride_h, stride_w), (dilation_h, _) = view.attrs["stride"], view.attrs["dilation"]
    return {
        "weights": interleave(rows, cut), "table": scale_table(steps, cut),
        "depth": depth, "blocks": blocks, "singles": out_c - blocks * BLOCK,
        "batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "in_c": x.shape[3],
        "out_h": out.shape[1], "out_w": out.shape[2], "out_c": out_c,
        "kernel_h": weights.shape[1], "kernel_w": weights.shape[2], "stride_h": stride_h, "stride_w": stride_w,
        "dilation_h": dilation_h, "pad_top": top, "pad_left": left,
        "in_zero_point": x.zero_point, "low": low, "high": high, "away": int(steps.away),
    }  # fmt: skip


def accepts_pair(view: View, weights: Array) -> bool:
    """Taps of a row side by side, and a rescaling that one multiply does."""
    return (
        (view.attrs["dilation"][1] == 1 or weights.shape[2] == 1)
        and weights.size > 0
        and rescaling_steps(view, weights) is not None
    )


def scratch_bytes(weights: Array) -> int:
    """Two windows, and a row of one."""
    return 2 * _depth(weights) + int(np.prod(weights.shape[2:]))


def groups(channels: int, *sizes: int) -> list[slice]:
    """Channels cut into as many groups of the first size as there are, then of the next size, down to 1."""
    found, start = [], 0
    for size in (*sizes, 1):
        while channels - start >= size:
            found.append(slice(start, start + size))
            start += size
    return found


def interleave(rows: Array, cut: list[slice]) -> Array:
    """[channels, depth] as [depth][channels] of each group."""
    return np.concatenate([rows[g].T.reshape(-1) for g in cut])


def scale_table(steps: Steps, cut: list[slice]) -> Array:
    """int32: for each group its biases, then (multiplier, code) of each of its channels."""
    scales = np.stack([steps.multiplier, steps.code], axis=1)
    return np.concatenate([part for g in cut for part in (steps.bias[g], scales[g].reshape(-1))])


def overlap_lead(view: View) -> int:
    """Bytes by which the output must start before the input, so that a pair is written only over what was read last.

    Pixels are taken in order, two by two, across rows and images.
    """
    n, in_h, in_w, in_c = view.input(0).shape
    _, out_h, out_w, out_c = view.out.shape
    (top, _, left, _), (stride_h, stride_w) = view.attrs["padding"], view.attrs["stride"]
    dilation_h = view.attrs["dilation"][0]
    y = np.arange(out_h) * stride_h - top
    y += -(-np.maximum(-y, 0) // dilation_h) * dilation_h  # the first row inside
    x = np.maximum(np.arange(out_w) * stride_w - left, 0)
    # A window with nothing inside reads nothing; taking it to start early errs on the safe side.
    first = (np.clip(y, 0, in_h)[:, None] * in_w + np.clip(x, 0, in_w)).reshape(-1) * in_c
    reads = (np.arange(n)[:, None] * in_h * in_w * in_c + first).reshape(-1)
    needed = np.minimum.accumulate(reads[::-1])[::-1]  # lowest byte that this pixel or a later one reads
    done = np.arange(2, reads.size, 2)  # pixels written while more are to come
    return int(max((done * out_c - needed[done]).max(initial=0), reads.size * out_c - view.input(0).size, 0))


# --- conv_2d ---------------------------------------------------------------------------------------------------------


def _accepts(view: View) -> bool:
    return accepts_pair(view, view.const(1))


def _lower_pair(view: View) -> tuple[Call, ...]:
    return (Call("portable/conv_2d_pair_s8.h", pair_fields(view, view.const(1)), (In(0), Out(0), Scratch())),)


def _overlap(view: View) -> tuple[tuple[int, int], ...]:
    return ((0, overlap_lead(view)),)


CONV_PAIR = Kernel(
    "conv_2d_pair_s8", _lower_pair, accepts=_accepts, scratch=lambda view: scratch_bytes(view.const(1)), overlap=_overlap
)


def _depth(weights: Array) -> int:
    return -(-int(np.prod(weights.shape[1:])) // 4) * 4


def in_order(weights: Array) -> Array:
    """OHWI weights as [channels, depth] in the order of a window in the scratch: see conv_2d_pair_s8.h."""
    out_c, kernel_h, kernel_w, in_c = weights.shape
    rows = weights.reshape(out_c, kernel_h, kernel_w * in_c)
    fours = kernel_w * in_c // 4 * 4
    ordered = np.concatenate([rows[:, :, :fours].reshape(out_c, -1), rows[:, :, fours:].reshape(out_c, -1)], axis=1)
    return np.pad(ordered, ((0, 0), (0, _depth(weights) - ordered.shape[1])))


def rescaling_steps(view: View, weights: Array) -> Steps | None:
    rows = np.ascontiguousarray(weights.reshape(len(weights), -1))
    multiplier, shift = channel_multipliers(view, len(rows))
    return steps_of(view, rows, multiplier, shift)


def steps_of(view: View, rows: Array, multiplier: Array, shift: Array) -> Steps | None:
    """`find_steps` for a layer with weights [channels, taps], the input zero point folded into the bias."""
    bias: Int64 = bias_of(view, len(rows)).astype(np.int64) - view.input(0).zero_point * rows.astype(np.int64).sum(axis=1)
    return _cached_steps(
        rows.tobytes(), rows.shape, multiplier.astype(np.int32).tobytes(), shift.astype(np.int32).tobytes(), bias.tobytes(),
        view.out.zero_point, clamp_of(view),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _cached_steps(
    rows: bytes, shape: tuple[int, int], multiplier: bytes, shift: bytes, bias: bytes, zero_point: int, clamp: tuple[int, int]
) -> Steps | None:
    """A layer is asked about more than once, and the search takes a while."""
    weights = np.frombuffer(rows, np.int8).reshape(shape)
    scale = np.frombuffer(multiplier, np.int32), np.frombuffer(shift, np.int32)
    return find_steps(*scale, weights, np.frombuffer(bias, np.int64), zero_point, clamp)
