"""Depthwise convolution for cores with Helium: lowering to `kernels/conv/depthwise_mve_s8.h`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.ops.conv_mve import CONV_KERNELS, MVE, Fields, is_exact, rescales
from sandgrain.graph.ops.depthwise_dsp import single
from sandgrain.graph.ops.depthwise_walk import Walk
from sandgrain.graph.quantization import INT32_MAX

TAPS = 4  # lines and columns of a window at most
BLOCK = 8  # outputs, and channels, at once
MAX_OFFSET = 1 << 16  # of a scattered store
BLOCK_COST, CHANNEL_COST, SPREAD_COST = 34, 20, 6  # instructions, about


@dataclass(frozen=True, slots=True)
class Planes(Walk):
    """The walk of the Helium kernel, which keeps the lines of eight channels in planes."""

    @property
    def plane(self) -> int:
        """Bytes of a channel in the scratch: all of a line, and all that whole blocks of outputs read."""
        (_, size), (_, length) = self.sizes
        outputs = -(-length // BLOCK) * BLOCK
        return 4 * max(self.pad[1] + size, (outputs - 1) * self.stride[1] + TAPS)

    def cost(self) -> int:
        """Instructions a channel, about."""
        (lines, size), (outputs, length) = self.sizes
        return outputs * (-(-length // BLOCK) * BLOCK_COST + CHANNEL_COST) + lines * size * SPREAD_COST // BLOCK


def _walk(view: View) -> Planes:
    """Rows or columns: what may run over its input first, then what costs less."""
    return min((Planes(view, 1), Planes(view, 2)), key=lambda walk: (not walk.over_itself(), walk.cost()))


def _folded_bias(view: View) -> Array:
    weights = view.const(1).astype(np.int64)
    return np.asarray(bias_of(view, weights.shape[3]) - view.input(0).zero_point * weights.sum(axis=(0, 1, 2)), np.int64)


def _accepts(view: View) -> bool:
    x, out = view.input(0), view.out
    kernel, stride = view.input(1).shape[1:3], tuple(view.attrs["stride"])
    shape = x.shape[3] == out.shape[3] and out.size > 0 and max(kernel) <= TAPS and set(stride) <= {1, 2}
    if not shape or tuple(view.attrs["dilation"]) != (1, 1) or not rescales(view, out.shape[3]):
        return False
    walk = _walk(view)
    step = out.shape[3] * (1 if walk.axis == 1 else out.shape[2])
    # Sums of x, not of x - zero point: the folded bias and the products must fit 32 bits.
    reach = np.abs(view.const(1).astype(np.int64)).sum(axis=(0, 1, 2)) * 128 + np.abs(_folded_bias(view))
    return max(step, walk.plane) * (BLOCK - 1) < MAX_OFFSET and int(reach.max()) <= INT32_MAX


def _records(view: View, walk: Planes) -> Array:
    """int32 [channels, words]: bias, multiplier, shift, weights [columns][lines] and a 0, filled up to whole words."""
    multiplier, shift = channel_multipliers(view, view.out.shape[3])
    weights = view.const(1)[0]  # [h, w, channels]
    ordered = weights.transpose(2, 1, 0) if walk.axis == 1 else weights.transpose(2, 0, 1)
    flat = ordered.reshape(multiplier.size, -1)
    taps = flat.shape[1]
    words = np.ascontiguousarray(np.pad(flat, ((0, 0), (0, 4 - taps % 4)))).view("<i4")
    return np.concatenate([np.stack([_folded_bias(view), multiplier, shift], axis=1), words], axis=1).astype(np.int32)


def _phases(walk: Planes) -> Array:
    """uint8 [4, 16]: for a window whose first line is in byte 0 .. 3 of a column, the place of each byte's weight."""
    lines, columns = walk.kernel
    phase, column, byte = np.ogrid[:4, :4, :4]
    line = (byte - phase) % 4
    inside = (line < lines) & (column < columns)
    return np.where(inside, column * lines + line, lines * columns).reshape(4, 16).astype(np.uint8)


def _lower(view: View) -> tuple[Call, ...]:
    walk, x, out = _walk(view), view.input(0), view.out
    channels = out.shape[3]
    (lines, size), (outputs, length) = walk.sizes
    in_step = walk.of((x.shape[2] * channels, channels))
    out_step = walk.of((out.shape[2] * channels, channels))
    low, high = clamp_of(view)
    records = _records(view, walk)
    fields: Fields = {
        "records": records, "phases": _phases(walk), "record": 4 * records.shape[1],
        "batch": x.shape[0], "channels": channels, "in_bytes": math.prod(x.shape[1:]), "out_bytes": math.prod(out.shape[1:]),
        "in_outer": lines, "in_inner": size, "out_outer": outputs, "out_inner": length,
        "in_outer_step": in_step[0], "in_inner_step": in_step[1], "out_outer_step": out_step[0], "out_inner_step": out_step[1],
        "kernel_outer": walk.kernel[0], "stride_outer": walk.stride[0], "stride_inner": walk.stride[1],
        "pad_outer": walk.pad[0], "pad_inner": walk.pad[1], "plane": walk.plane,
        "two": int(walk.stride[1] == 1 and walk.kernel[1] < TAPS), "exact": int(is_exact(view)),
        "in_zero_point": x.zero_point, "out_zero_point": out.zero_point, "low": low, "high": high,
    }  # fmt: skip
    return (Call("helium/depthwise_mve_s8.h", fields, (In(0), Out(0), Scratch())),)


DEPTHWISE_KERNELS = (
    Kernel(
        "depthwise_mve",
        _lower,
        MVE,
        _accepts,
        lambda view: BLOCK * _walk(view).plane,
        lambda view: (0,) if _walk(view).over_itself() else (),
    ),
    *(single(kernel) for kernel in CONV_KERNELS),
)
