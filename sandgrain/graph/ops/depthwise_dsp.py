"""Depthwise 3x3 for cores with the DSP extension: lowering to `kernels/conv/depthwise_3x3_dsp_s8.h`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.ops.conv_dsp import CONV_KERNELS
from sandgrain.graph.ops.depthwise_walk import Walk
from sandgrain.graph.ops.one_multiply import OneMultiply, Rule, accumulator_range, equal, fits, one_multiply

Fields = dict[str, int | float | tuple[int, ...] | Array]
SHIFT = 10  # of the kernel's SSAT
INT16_MAX = 32767
MAX_LEFT = 15  # of an int16 weight
PAIR_BYTES = 12  # two int16 elements of each of the ring's three lines


@dataclass(frozen=True, slots=True)
class Lines(Walk):
    """The walk of the 3x3 kernel, with a ring of three lines."""

    @property
    def inner(self) -> int:
        return 3 - self.axis

    @property
    def pairs(self) -> int:
        """Pairs of columns in the ring: all of the input, and all that the outputs read."""
        (_, size), (_, outputs) = self.sizes
        return -(-max(self.pad[1] + size, (outputs - 1) * self.stride[1] + 3) // 2)

    def cost(self) -> float:
        """Instructions a channel, about."""
        (lines, size), (outputs, length) = self.sizes
        blank = max(self.pad[0] + (outputs - 1) * self.stride[0] + 3 - self.pad[0] - lines, 0) + self.pad[0]
        return outputs * (25 * (length // 2) + 14 * (length % 2) + 35) + lines * (2.5 * size + 15) + blank * 4 * self.pairs


def _lines(view: View) -> Lines:
    """Rows or columns: what may run over its input first, then what costs less."""
    return min((Lines(view, 1), Lines(view, 2)), key=lambda walk: (not walk.over_itself(), walk.cost()))


def _rule(view: View) -> Rule:
    channels = view.out.shape[3]
    multiplier, shift = channel_multipliers(view, channels)
    taps = view.const(1)[0].reshape(9, channels).T
    lowest, highest = accumulator_range(taps, bias_of(view, channels).astype(np.int64), view.input(0).zero_point)
    low, high = clamp_of(view)
    return Rule(multiplier.astype(np.int64), shift.astype(np.int64), lowest, highest, view.out.zero_point, low, high)


def _scaled_bias(view: View, short: OneMultiply) -> Array:
    """The bias with the input zero point's share, times 2^k, and what the short rescaling adds."""
    weights = view.const(1).astype(np.int64)
    folded = bias_of(view, weights.shape[3]).astype(np.int64) - view.input(0).zero_point * weights.sum(axis=(0, 1, 2))
    return np.asarray((folded << short.left) + short.extra, np.int64)


def _bound(view: View, short: OneMultiply) -> bool:
    """Scaled weights fit int16, and the sums that the kernel makes (of x, not of x - zero point) fit 32 bits."""
    weights = np.abs(view.const(1).astype(np.int64)).reshape(9, -1)
    if bool((short.left > MAX_LEFT).any()) or bool((weights.max(axis=0) << short.left > INT16_MAX).any()):
        return False
    reach = (weights.sum(axis=0) * 128 << short.left) + np.abs(_scaled_bias(view, short))
    return bool((reach < 1 << 31).all())


def _accepts(view: View) -> bool:
    x, out = view.input(0), view.out
    shape = x.shape[0] == 1 and x.shape[3] == out.shape[3] and view.input(1).shape[1:3] == (3, 3)
    if not shape or tuple(view.attrs["dilation"]) != (1, 1) or not set(view.attrs["stride"]) <= {1, 2}:
        return False
    rule = _rule(view)
    short = one_multiply(rule, SHIFT)
    return fits(rule, short) and _bound(view, short) and bool(equal(rule, short).all())


def _scratch(view: View) -> int:
    return PAIR_BYTES * _lines(view).pairs


def _in_place(view: View) -> tuple[int, ...]:
    return (0,) if _lines(view).over_itself() else ()


def _lower(view: View) -> tuple[Call, ...]:
    walk, short = _lines(view), one_multiply(_rule(view), SHIFT)
    channels = view.out.shape[3]
    weights = view.const(1)[0]  # [h, w, channels]
    (lines, size), (outputs, length) = walk.sizes
    in_step = walk.of((view.input(0).shape[2] * channels, channels))
    out_step = walk.of((view.out.shape[2] * channels, channels))
    fields: Fields = {
        "weights": np.ascontiguousarray(weights.transpose(2, 0, 1) if walk.axis == 1 else weights.transpose(2, 1, 0)).reshape(-1),
        "shift": short.left.astype(np.uint8), "bias": _scaled_bias(view, short).astype(np.int32),
        "multiplier": short.multiplier.astype(np.int32), "channels": channels,
        "in_outer": lines, "in_inner": size, "out_outer": outputs, "out_inner": length,
        "in_outer_step": in_step[0], "in_inner_step": in_step[1], "out_outer_step": out_step[0], "out_inner_step": out_step[1],
        "stride_outer": walk.stride[0], "stride_inner": walk.stride[1], "pad_outer": walk.pad[0], "pad_inner": walk.pad[1],
        "ring": 6 * walk.pairs, "in_zero_point": view.input(0).zero_point,
        "offset": (1 << (SHIFT - 1)) + view.out.zero_point * (1 << SHIFT),
    }  # fmt: skip
    return (Call("armv7em/depthwise_3x3_dsp_s8.h", fields, (In(0), Out(0), Scratch())),)


DEPTHWISE_3X3 = Kernel(
    "depthwise_3x3_dsp_s8", _lower, needs=frozenset({"dsp"}), accepts=_accepts, scratch=_scratch, in_place=_in_place
)


# --- one input channel: an ordinary convolution -----------------------------------------------------------------------


def _as_convolution(view: View) -> View:
    """A layer of one input channel as a conv_2d: the weights [1, h, w, o] are [o, h, w, 1] there."""
    weights = view.input(1)
    quant = weights.quant
    assert quant is not None and weights.data is not None
    data = np.ascontiguousarray(view.const(1)[0].transpose(2, 0, 1))[..., None]
    turned = replace(
        weights, shape=data.shape, data=data, quant=quant if quant.per_tensor else replace(quant, axis=0)
    )  # fmt: skip
    return replace(view, inputs=(view.inputs[0], turned, *view.inputs[2:]))


def single(kernel: Kernel) -> Kernel:
    """A convolution's kernel for depthwise layers of one input channel."""
    return replace(
        kernel,
        lower=lambda view: kernel.lower(_as_convolution(view)),
        accepts=lambda view: view.input(0).shape[3] == 1 and kernel.accepts(_as_convolution(view)),
        scratch=lambda view: kernel.scratch(_as_convolution(view)),
        in_place=lambda view: kernel.in_place(_as_convolution(view)),
        overlap=lambda view: kernel.overlap(_as_convolution(view)),
    )


DEPTHWISE_KERNELS = (DEPTHWISE_3X3, *(single(kernel) for kernel in CONV_KERNELS))
