"""Depthwise 2-D convolution: NHWC input, 1HWO weights, each input channel makes `multiplier` output channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Call, Draw, Encoded, Foreign, In, Kernel, Option, Out, Scratch, Shape, i32
from sandgrain.graph.ops.channels import Interval, Link, Mask, channels_of, every
from sandgrain.graph.ops.compact import DEPTHWISE_COMPACT
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.convolution import Convolution
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of, draw_weights, finish
from sandgrain.graph.ops.conv_portable import accepts_pair, overlap_lead, pair_fields, rescaling_steps, scratch_bytes
from sandgrain.graph.ops.depthwise_dsp import DEPTHWISE_KERNELS
from sandgrain.graph.ops.depthwise_mve import DEPTHWISE_KERNELS as MVE_KERNELS
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.ops.real_math import bias_or_zero, finished, flat
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.sum_bounds import depthwise_interval, window_taps
from sandgrain.graph.ops.traits import Weight
from sandgrain.graph.quantization import INT32_MAX

Fields = dict[str, int | float | tuple[int, ...] | Array]
SMALL_PLANE = 4096  # bytes of scratch that are worth the faster kernel even where the input is smaller
BLOCK = 4  # output channels that conv_2d's portable kernel computes at once


def _folded_bias(view: View) -> Array:
    """The bias plus the input zero point's share: right wherever every tap reads a value (padding reads the zero point)."""
    weights = view.const(1).astype(np.int64)
    out_c = weights.shape[3]
    return i32(bias_of(view, out_c).astype(np.int64) - view.input(0).zero_point * weights.sum(axis=(0, 1, 2)))


def _geometry(view: View) -> Fields:
    x, out, (top, _, left, _) = view.input(0), view.out, view.attrs["padding"]
    (stride_h, stride_w), (dilation_h, dilation_w) = view.attrs["stride"], view.attrs["dilation"]
    low, high = clamp_of(view)
    multiplier, shift = channel_multipliers(view, out.shape[3])
    return {
        "multiplier": multiplier, "shift": shift,
        "in_h": x.shape[1], "in_w": x.shape[2], "out_h": out.shape[1], "out_w": out.shape[2],
        "kernel_h": view.input(1).shape[1], "kernel_w": view.input(1).shape[2],
        "stride_h": stride_h, "stride_w": stride_w, "dilation_h": dilation_h, "dilation_w": dilation_w,
        "pad_top": top, "pad_left": left, "out_zero_point": out.zero_point, "low": low, "high": high,
    }  # fmt: skip


# --- a channel at a time, over its own input -----------------------------------------------------------------------


def _plane(view: View) -> tuple[int, int]:
    """Height and width of one padded channel: what the kernel keeps in its scratch."""
    x, (top, bottom, left, right) = view.input(0), view.attrs["padding"]
    return x.shape[1] + top + bottom, x.shape[2] + left + right


def _plane_bytes(view: View) -> int:
    height, width = _plane(view)
    return height * width


def _accepts_inplace(view: View) -> bool:
    """One output channel an input channel, one image, and an output that is no larger than the input.

    Then output pixel p of channel c lies where input pixel p of channel c was, and that channel has been copied out.
    """
    x, out = view.input(0), view.out
    fits = x.shape[3] == out.shape[3] and x.shape[0] == 1 and out.size <= x.size
    return fits and _plane_bytes(view) <= max(x.size, SMALL_PLANE) and _narrow(view)


def _narrow(view: View) -> bool:
    """Twice every accumulator fits 32 bits, after its left shift."""
    weights = np.abs(view.const(1).astype(np.int64)).sum(axis=(0, 1, 2))
    reach = weights * view.input(0).dtype.span + np.abs(bias_of(view, len(weights)).astype(np.int64))
    left = np.maximum(channel_multipliers(view, len(weights))[1].astype(np.int64), 0)
    return bool((reach << (left + 1) <= INT32_MAX).all())


def _lower_inplace(view: View) -> tuple[Call, ...]:
    height, width = _plane(view)
    fields = _geometry(view) | {
        # [channels][kernel_h][kernel_w]
        "weights": np.ascontiguousarray(view.const(1)[0].transpose(2, 0, 1)).reshape(-1),
        "bias": _folded_bias(view), "channels": view.out.shape[3],
        "plane_h": height, "plane_w": width, "in_zero_point": view.input(0).zero_point,
        "sign": rounding(-1, clamp_of(view)[0] - view.out.zero_point)[2],
        "code": np.zeros(1, np.int32), "scaled": 0, "away": 0,
    }  # fmt: skip
    steps = rescaling_steps(view, _as_convolution(view))
    if steps is not None:
        fields |= {"bias": steps.bias, "multiplier": steps.multiplier, "code": steps.code, "scaled": 1, "away": int(steps.away)}
    return (Call("portable/depthwise_conv_2d_inplace_s8.h", fields, (In(0), Out(0), Scratch())),)


# --- one input channel: an ordinary convolution ---------------------------------------------------------------------


def _accepts_single(view: View) -> bool:
    return view.input(0).shape[3] == 1


def _lower_single(view: View) -> tuple[Call, ...]:
    """The weights [1, h, w, o] of a single input channel are the weights [o, h, w, 1] of a convolution."""
    geometry, weights = _geometry(view), view.const(1)
    out_c = weights.shape[3]
    padded = any(view.attrs["padding"])
    blocks = out_c - out_c % BLOCK
    rows = weights.reshape(-1, out_c).T
    packed = np.concatenate(
        [rows[:blocks].reshape(-1, BLOCK, rows.shape[1]).transpose(0, 2, 1).reshape(-1), rows[blocks:].reshape(-1)]
    )
    fields = geometry | {
        "weights": packed, "bias": bias_of(view, out_c) if padded else _folded_bias(view),
        "batch": view.input(0).shape[0], "in_c": 1, "out_c": out_c,
        "in_offset": -view.input(0).zero_point if padded else 0,
    }  # fmt: skip
    return (Call("portable/conv_2d_s8.h", fields, (In(0), Out(0))),)


def _as_convolution(view: View) -> Array:
    return np.ascontiguousarray(view.const(1).transpose(3, 1, 2, 0))


def _accepts_single_pair(view: View) -> bool:
    return _accepts_single(view) and accepts_pair(view, _as_convolution(view))


def _lower_single_pair(view: View) -> tuple[Call, ...]:
    return (Call("portable/conv_2d_pair_s8.h", pair_fields(view, _as_convolution(view)), (In(0), Out(0), Scratch())),)


# --- everything else ------------------------------------------------------------------------------------------------


def _lower_general(view: View) -> tuple[Call, ...]:
    x, weights = view.input(0), view.const(1)
    fields = _geometry(view) | {
        # [channels][multiplier][kernel_h][kernel_w]
        "weights": np.ascontiguousarray(weights[0].transpose(2, 0, 1)).reshape(-1),
        "bias": bias_of(view, weights.shape[3]), "batch": x.shape[0], "in_c": x.shape[3],
        "depth_multiplier": weights.shape[3] // x.shape[3], "in_offset": -x.zero_point,
    }  # fmt: skip
    return (Call("portable/depthwise_conv_2d_s8.h", fields, (In(0), Out(0))),)


class DepthwiseConv2D(Convolution):
    name = "depthwise_conv_2d"
    summary = "depthwise 2-D convolution, any multiplier, dilated, with a fused activation"
    foreign = (
        Foreign(
            "DEPTHWISE_CONV_2D", 4, 2,
            (*win.STRIDE_OPTIONS, Option("depth_multiplier", 3, "i32"), Option(win.ACTIVATION_OPTION, 4, "i8"),
             Option("dilation_w_factor", 5, "i32", 1), Option("dilation_h_factor", 6, "i32", 1)),
            version=3, int16=True,
        ),
    )  # fmt: skip
    kernels = (
        *MVE_KERNELS,
        *DEPTHWISE_KERNELS,
        Kernel(
            "depthwise_conv_2d_inplace_s8", _lower_inplace,
            accepts=_accepts_inplace, scratch=_plane_bytes, in_place=lambda view: (0,),
        ),
        Kernel(
            "conv_2d_pair_s8", _lower_single_pair, accepts=_accepts_single_pair,
            scratch=lambda view: scratch_bytes(_as_convolution(view)), overlap=lambda view: ((0, overlap_lead(view)),),
        ),
        Kernel("conv_2d_s8", _lower_single, accepts=_accepts_single),
        Kernel("depthwise_conv_2d_s8", _lower_general),
        DEPTHWISE_COMPACT,
    )  # fmt: skip

    weights = (Weight(channel_axis=3, depthwise=True),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        x, weights = self.operands(inputs)
        if weights.shape[0] != 1:
            raise ModelError(f"weights {weights.shape} must be [1, h, w, channels]")
        if x.shape[3] < 1 or weights.shape[3] < 1 or weights.shape[3] % x.shape[3]:
            raise ModelError(f"{weights.shape[3]} weight channels are not a multiple of {x.shape[3]} input channels")
        return (self.window(x.shape, weights.shape[1:3], weights.shape[3], attrs),)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, weights = inputs[0], view.const(1)[0].astype(np.int64)
        assert x is not None
        zero, multiplier = view.input(0).zero_point, weights.shape[2] // x.shape[3]
        windows = win.patches(x, weights.shape[:2], view.attrs["stride"], view.attrs["dilation"], view.attrs["padding"], zero)
        n, oh, ow = windows.shape[:3]
        acc = np.zeros((n, oh, ow, weights.shape[2]), np.int64) + bias_of(view, weights.shape[2])
        for ky in range(weights.shape[0]):
            for kx in range(weights.shape[1]):
                taps = windows[:, :, :, ky, kx, :].astype(np.int64) - zero
                acc += np.repeat(taps, multiplier, axis=3) * weights[ky, kx]
        return (finish(view, np.asarray(acc, np.int64), *channel_multipliers(view, weights.shape[2])),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x, weights, a = flat(inputs[0]), view.const(1)[0], view.attrs
        repeated = np.repeat(x, weights.shape[2] // x.shape[3], axis=3)
        windows = win.patches(repeated, weights.shape[:2], a["stride"], a["dilation"], a["padding"], 0)
        total = np.zeros((*windows.shape[:3], weights.shape[2]), np.float32) + bias_or_zero(view)
        for ky, kx in np.ndindex(*weights.shape[:2]):
            total += windows[:, :, :, ky, kx, :] * weights[ky, kx]
        return finished(view, len(inputs[0]), total)

    def taps(self, view: View) -> tuple[Mask, Mask] | None:
        return window_taps(view)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        return [depthwise_interval(view, window_taps(view), known[0])]

    def links(self, view: View) -> Sequence[Link] | None:
        """All outputs of an input channel go with it. A single input channel is simply read: any of its outputs can go alone."""
        channels, count = channels_of(view.input(0)), channels_of(view.out)
        return [] if channels == 1 else [Link(0, every(count) // (count // channels), 0, every(count))]

    def columns(self, view: View, x: Array, limit: int) -> Array | None:
        rows = self.window_rows(view, x, limit)
        return rows.reshape(len(rows), -1, rows.shape[3]).transpose(2, 0, 1).astype(np.float64)

    def macs(self, view: View) -> int:
        return view.out.size * int(np.prod(view.input(1).shape[1:3]))

    def encode(self, view: View) -> Encoded:
        # The depth multiplier is the ratio of the channel counts; the option repeats it and old files leave it 0.
        options = {**self.options(view), "depth_multiplier": view.input(1).shape[3] // view.input(0).shape[3]}
        # TensorFlow Lite Micro reads a third input without asking whether it is there: leave an absent bias out.
        return Encoded("DEPTHWISE_CONV_2D", options, (0, 1, 2) if view.optional(2) is not None else (0, 1))

    def sample(self, draw: Draw) -> Graph:
        in_c, multiplier = draw.choice(SIZES), draw.choice((1, 1, 1, 2, 3, 4, 5, 8))
        kernel = draw.choice(((3, 3), (3, 3), (draw.integer(1, 4), draw.integer(1, 5))))
        stride = draw.choice(((1, 1), (2, 2), (draw.integer(1, 3), draw.integer(1, 3))))
        dilation = draw.choice(((1, 1), (1, 1), (draw.integer(1, 3), draw.integer(1, 3))))
        size = tuple((k - 1) * d + draw.integer(1, 6) for k, d in zip(kernel, dilation, strict=True))
        x = activation_tensor("x", (draw.choice((1, 1, 2)), *size, in_c), draw_quant(draw))
        assert x.quant is not None
        padding = win.explicit_padding(win.draw_padding(draw), size, kernel, stride, dilation)
        weights, bias, out_quant = draw_weights(draw, (1, *kernel, in_c * multiplier), 3, x.quant)
        activation = draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))
        a = attrs(stride=stride, dilation=dilation, padding=padding, activation=activation)
        y = activation_tensor("y", self.window(x.shape, kernel, in_c * multiplier, a), out_quant)
        return one_op(self.name, (x, weights, draw.choice((bias, None))), (y,), a)
