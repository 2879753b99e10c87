"""Depthwise 3x3 for the DSP extension: a ring of three lines as int16, and one multiply per rescaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, OVER_INPUT, Fit, Kernel, Refused, lowered
from sandgrain.kernels.conv.depthwise import walk_fields
from sandgrain.kernels.conv.line_walk import Walk
from sandgrain.kernels.proofs.single_multiply import OneMultiply, Rule, accumulator_range, equal, fits, one_multiply
from sandgrain.kernels.shared.windows import by_channel, folded_bias

SHIFT = 10  # of the kernel's SSAT
INT16_MAX = 32767
MAX_LEFT = 15  # of an int16 weight
PAIR_BYTES = 12  # two int16 elements of each of the ring's three lines


@dataclass(frozen=True, slots=True)
class Lines(Walk):
    """The walk of the 3x3 kernel, with a ring of three lines."""

    @property
    def pairs(self) -> int:
        """Pairs of columns in the ring: all of the input, and all that the outputs read."""
        (_, size), (_, outputs) = self.sizes
        return -(-max(self.pad[1] + size, (outputs - 1) * self.stride[1] + 3) // 2)

    def cost(self) -> float:
        """Instructions per channel, about."""
        (lines, size), (outputs, length) = self.sizes
        blank = max(self.pad[0] + (outputs - 1) * self.stride[0] + 3 - self.pad[0] - lines, 0) + self.pad[0]
        return outputs * (25 * (length // 2) + 14 * (length % 2) + 35) + lines * (2.5 * size + 15) + blank * 4 * self.pairs


def _lines(view: View) -> Lines:
    """Rows or columns: what may run over its input first, then what costs less."""
    return min((Lines(view, 1), Lines(view, 2)), key=lambda walk: (not walk.over_itself(), walk.cost()))


def _rule(view: View) -> Rule:
    channels = view.out.shape[3]
    multiplier, shift = channel_multipliers(view, channels)
    bias = bias_of(view, channels).astype(np.int64)
    lowest, highest = accumulator_range(by_channel(view), bias, view.input(0).zero_point)
    low, high = clamp_of(view)
    return Rule(multiplier.astype(np.int64), shift.astype(np.int64), lowest, highest, view.out.zero_point, low, high)


def _scaled_bias(view: View, short: OneMultiply) -> Array:
    """The bias with the input zero point's share, times 2^k, and what the short rescaling adds."""
    return np.asarray((folded_bias(view, by_channel(view)) << short.left) + short.extra, np.int64)


def _bound(view: View, short: OneMultiply) -> bool:
    """Scaled weights fit int16, and the sums that the kernel makes (of x, not of x - zero point) fit 32 bits."""
    weights = np.abs(by_channel(view).astype(np.int64))
    if bool((short.left > MAX_LEFT).any()) or bool((weights.max(axis=1) << short.left > INT16_MAX).any()):
        return False
    reach = (weights.sum(axis=1) * 128 << short.left) + np.abs(_scaled_bias(view, short))
    return bool((reach < 1 << 31).all())


def _refused_shape(view: View) -> Refused | None:
    x, out, (height, width) = view.input(0), view.out, view.input(1).shape[1:3]
    if (height, width) != (3, 3):
        return Refused(f"a kernel of {height}x{width}; this one is for 3x3")
    if x.shape[0] != 1:
        return Refused(f"{x.shape[0]} images at once; the kernel takes one")
    if x.shape[3] != out.shape[3]:
        return Refused(f"{x.shape[3]} input and {out.shape[3]} output channels; the kernel takes as many of both")
    if tuple(view.attrs["dilation"]) != (1, 1) or not set(view.attrs["stride"]) <= {1, 2}:
        return Refused(f"stride {view.attrs['stride']}, dilation {view.attrs['dilation']}; strides 1 and 2 and no dilation work")
    return None


def _lower(view: View) -> Fit:
    if refused := _refused_shape(view):
        return refused
    rule = _rule(view)
    short = one_multiply(rule, SHIFT)
    if not (fits(rule, short) and _bound(view, short)):
        return Refused("scaled weights or sums of a channel need more than 16 or 32 bits")
    same = equal(rule, short)
    if not same.all():
        return Refused(f"channel {int(np.argmin(same))} has no single multiply that rescales it exactly")
    walk = _lines(view)
    weights = view.const(1)[0]  # [h, w, channels]
    fields = {
        "weights": np.ascontiguousarray(weights.transpose(2, 0, 1) if walk.axis == 1 else weights.transpose(2, 1, 0)).reshape(-1),
        "shift": short.left.astype(np.uint8),
        "bias": _scaled_bias(view, short).astype(np.int32),
        "multiplier": short.multiplier.astype(np.int32),
        "channels": view.out.shape[3],
        **walk_fields(view, walk),
        "stride_outer": walk.stride[0],
        "stride_inner": walk.stride[1],
        "pad_outer": walk.pad[0],
        "pad_inner": walk.pad[1],
        "ring_elements": 6 * walk.pairs,
        "in_zero_point": view.input(0).zero_point,
        "offset": (1 << (SHIFT - 1)) + view.out.zero_point * (1 << SHIFT),
    }
    sharing = OVER_INPUT if walk.over_itself() else ()
    return lowered("depthwise_3x3_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, PAIR_BYTES * walk.pairs, sharing)


KERNEL = Kernel(
    "depthwise_3x3_dsp_s8",
    ("depthwise_conv_2d",),
    _lower,
    "3x3, stride 1 or 2, one image, one output channel per input channel, and a rescaling that one multiply does exactly",
    DSP_CORES + 10,
    DSP,
)
