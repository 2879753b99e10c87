"""Depthwise convolutions for Helium: eight channels and eight outputs at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.graph.quantization import INT32_MAX
from sandgrain.kernels.base import HELIUM, MVE, ONE_INPUT_AND_SCRATCH, OVER_INPUT, Fit, Kernel, Refused, lowered
from sandgrain.kernels.conv.depthwise import walk_fields
from sandgrain.kernels.conv.line_walk import Walk
from sandgrain.kernels.shared.mve_stream import is_exact, refused_scale
from sandgrain.kernels.shared.windows import by_channel, folded_bias

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
        """Instructions per channel, about."""
        (lines, size), (outputs, length) = self.sizes
        return outputs * (-(-length // BLOCK) * BLOCK_COST + CHANNEL_COST) + lines * size * SPREAD_COST // BLOCK


def _walk(view: View) -> Planes:
    """Rows or columns: what may run over its input first, then what costs less."""
    return min((Planes(view, 1), Planes(view, 2)), key=lambda walk: (not walk.over_itself(), walk.cost()))


def _refused_shape(view: View) -> Refused | None:
    x, out, kernel, stride = view.input(0), view.out, view.input(1).shape[1:3], view.attrs["stride"]
    if x.shape[3] != out.shape[3]:
        return Refused(f"{x.shape[3]} input and {out.shape[3]} output channels; the kernel takes as many of both")
    if out.size == 0:
        return Refused("the output is empty")
    if max(kernel) > TAPS:
        return Refused(f"a kernel of {kernel[0]}x{kernel[1]}; at most {TAPS} a side")
    if tuple(view.attrs["dilation"]) != (1, 1) or not set(stride) <= {1, 2}:
        return Refused(f"stride {stride}, dilation {view.attrs['dilation']}; strides 1 and 2 and no dilation work")
    return refused_scale(view, out.shape[3])


def _refused_size(view: View, walk: Planes) -> Refused | None:
    step = view.out.shape[3] * (1 if walk.axis == 1 else view.out.shape[2])
    if max(step, walk.plane) * (BLOCK - 1) >= MAX_OFFSET:
        return Refused("eight outputs or eight planes lie more than 64 KiB apart")
    # Sums of x, not of x - zero point: the folded bias and the products must fit 32 bits.
    rows = by_channel(view)
    reach = np.abs(rows.astype(np.int64)).sum(axis=1) * 128 + np.abs(folded_bias(view, rows))
    return Refused(f"the sums of channel {int(reach.argmax())} need more than 32 bits") if int(reach.max()) > INT32_MAX else None


def _records(view: View, walk: Planes) -> Array:
    """int32 [channels, words]: bias, multiplier, shift, weights [columns][lines] and a 0, filled up to whole words."""
    multiplier, shift = channel_multipliers(view, view.out.shape[3])
    weights = view.const(1)[0]  # [h, w, channels]
    ordered = weights.transpose(2, 1, 0) if walk.axis == 1 else weights.transpose(2, 0, 1)
    flat = ordered.reshape(multiplier.size, -1)
    taps = flat.shape[1]
    words = np.ascontiguousarray(np.pad(flat, ((0, 0), (0, 4 - taps % 4)))).view("<i4")
    head = np.stack([folded_bias(view, by_channel(view)), multiplier, shift], axis=1)
    return np.concatenate([head, words], axis=1).astype(np.int32)


def _phases(walk: Planes) -> Array:
    """uint8 [4, 16]: for a window whose first line is in byte 0 .. 3 of a column, the place of each byte's weight."""
    lines, columns = walk.kernel
    phase, column, byte = np.ogrid[:4, :4, :4]
    line = (byte - phase) % 4
    inside = (line < lines) & (column < columns)
    return np.where(inside, column * lines + line, lines * columns).reshape(4, 16).astype(np.uint8)


def _lower(view: View) -> Fit:
    if refused := _refused_shape(view):
        return refused
    walk, x, out = _walk(view), view.input(0), view.out
    if refused := _refused_size(view, walk):
        return refused
    low, high = clamp_of(view)
    records = _records(view, walk)
    fields = {
        "records": records,
        "phases": _phases(walk),
        "record": 4 * records.shape[1],
        "batch": x.shape[0],
        "channels": out.shape[3],
        "in_bytes": math.prod(x.shape[1:]),
        "out_bytes": math.prod(out.shape[1:]),
        **walk_fields(view, walk),
        "kernel_outer": walk.kernel[0],
        "stride_outer": walk.stride[0],
        "stride_inner": walk.stride[1],
        "pad_outer": walk.pad[0],
        "pad_inner": walk.pad[1],
        "plane": walk.plane,
        "two": int(walk.stride[1] == 1 and walk.kernel[1] < TAPS),
        "round_half_away": int(is_exact(view)),
        "in_zero_point": x.zero_point,
        "out_zero_point": out.zero_point,
        "low": low,
        "high": high,
    }
    sharing = OVER_INPUT if walk.over_itself() else ()
    return lowered("depthwise_mve_s8", fields, ONE_INPUT_AND_SCRATCH, BLOCK * walk.plane, sharing)


KERNEL = Kernel(
    "depthwise_mve_s8",
    ("depthwise_conv_2d",),
    _lower,
    "kernels of up to 4x4, stride 1 or 2, one output channel per input channel; no channel is shifted left",
    HELIUM + 10,
    MVE,
)
