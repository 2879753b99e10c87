"""Element-wise ops, pools and means for cores with the DSP extension: lowering to the kernels in `kernels/armv7em/`."""

from __future__ import annotations

import math
from collections.abc import Callable

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Op, Out
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.broadcast import unrepeated
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.ops.exact_pairs import VALUES, exact_plane
from sandgrain.graph.quantization import quantize_multiplier

Fields = dict[str, int | float | tuple[int, ...] | Array]
DSP = frozenset({"dsp"})
MAX_TAPS = 255  # int8 values whose sum fits int16
MAX_SHIFT = 22  # of mul: a zero point shifted left by it fits 32 bits


def _same_shape(view: View) -> bool:
    return view.input(0).size == view.input(1).size == view.out.size


# --- add, sub ---------------------------------------------------------------------------------------------------------


def sum_dsp(op: Op, sign: int) -> Kernel:
    """add (`sign` 1) and sub (-1), where a plane equals the op's reference for every pair of inputs."""

    def fields(view: View) -> Fields | None:
        a, b, out = view.input(0).scale, view.input(1).scale, view.out.scale
        expected = op.reference(view, (VALUES[:, None], VALUES[None, :]))[0]
        low, high = clamp_of(view)
        plane = exact_plane(a / out, sign * b / out, expected, low, high)
        if plane is None:
            return None
        return {
            "a_multiplier": plane.multiplier_a, "b_multiplier": plane.multiplier_b, "offset": plane.offset,
            "low": low, "high": high, "count": view.out.size,
        }  # fmt: skip

    def accepts(view: View) -> bool:
        return _same_shape(view) and fields(view) is not None

    def lower(view: View) -> tuple[Call, ...]:
        found = fields(view)
        assert found is not None, "accepted"
        return (Call("armv7em/add_dsp_s8.h", found, (In(0), In(1), Out(0))),)

    return Kernel("add_dsp_s8", lower, needs=DSP, accepts=accepts, in_place=unrepeated)


# --- mul --------------------------------------------------------------------------------------------------------------


def mul_dsp(ratio: Callable[[View], float]) -> Kernel:
    """mul without broadcasting; `ratio` is the product of the input scales over the output's."""

    def accepts(view: View) -> bool:
        return _same_shape(view) and quantize_multiplier(ratio(view))[1] >= -MAX_SHIFT

    def lower(view: View) -> tuple[Call, ...]:
        multiplier, shift = quantize_multiplier(ratio(view))
        low, high = clamp_of(view)
        right, half, sign = rounding(min(shift, 0), low - view.out.zero_point)
        fields: Fields = {
            "a_zero_point": view.input(0).zero_point, "b_zero_point": view.input(1).zero_point,
            "left": max(shift, 0) + 1, "multiplier": multiplier, "offset": half + view.out.zero_point * (1 << right),
            "shift": right, "sign": sign, "low": low, "high": high, "count": view.out.size,
        }  # fmt: skip
        return (Call("armv7em/mul_dsp_s8.h", fields, (In(0), In(1), Out(0))),)

    return Kernel("mul_dsp_s8", lower, needs=DSP, accepts=accepts, in_place=unrepeated)


# --- pools, mean ------------------------------------------------------------------------------------------------------


def pool_dsp(stem: str, portable: Kernel) -> Kernel:
    """The kernel `stem`, which takes the fields of the portable one."""

    def accepts(view: View) -> bool:
        taps = math.prod(min(k, s) for k, s in zip(view.attrs["kernel"], view.input(0).shape[1:3], strict=True))
        return view.out.shape[3] >= 4 and taps <= MAX_TAPS

    def lower(view: View) -> tuple[Call, ...]:
        return tuple(Call(f"armv7em/{stem}.h", call.fields, call.args) for call in portable.lower(view))

    return Kernel(stem, lower, needs=DSP, accepts=accepts, in_place=portable.in_place)


def mean_dsp(rescale: Callable[[View], tuple[int, int]]) -> Kernel:
    """mean over all dimensions but the last, or but the first and the last."""

    def shape(view: View) -> tuple[int, int, int] | None:
        """(batch, count, channels) where the axes leave just those."""
        sizes, axes = view.input(0).shape, set(view.attrs["axes"])
        kept = [k for k in range(len(sizes)) if k not in axes and sizes[k] > 1]
        last = len(sizes) - 1
        if last in axes or sizes[last] < 4 or [k for k in kept if k != last and any(a < k and sizes[a] > 1 for a in axes)]:
            return None
        batch = math.prod(sizes[k] for k in kept if k != last)
        return batch, math.prod(sizes[a] for a in axes), sizes[last]

    def accepts(view: View) -> bool:
        found = shape(view)
        return found is not None and found[1] <= MAX_TAPS

    def lower(view: View) -> tuple[Call, ...]:
        found = shape(view)
        assert found is not None, "accepted"
        batch, count, channels = found
        multiplier, shift = rescale(view)
        fields: Fields = {
            "batch": batch, "count": count, "channels": channels, "offset": -view.input(0).zero_point * count,
            "multiplier": multiplier, "shift": shift, "out_zero_point": view.out.zero_point,
        }  # fmt: skip
        return (Call("armv7em/mean_dsp_s8.h", fields, (In(0), Out(0))),)

    return Kernel("mean_dsp_s8", lower, needs=DSP, accepts=accepts, in_place=lambda view: (0,))
