"""What add and sub share: both inputs brought to one scale, 2^20 / (2 * the larger scale), summed, brought to the output's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, need
from sandgrain.graph.ops.compact import DSP, limits, scale
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.broadcast import Binary, loop_fields, unrepeated
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.quantization import Int32, high_mul, quantize_multiplier, rounding_shift

LEFT_SHIFT = 20
HALF = (1 << 30, 0)  # (multiplier, shift) of 0.5, which the input with the larger scale always has


@dataclass(frozen=True, slots=True)
class Ratios:
    """Real multipliers: each input to the common scale, the sum to the output."""

    a: float
    b: float
    out: float


class Sum(Binary):
    """add and sub: `sign` is what the second input counts with."""

    sign: ClassVar[int]

    @abstractmethod
    def _ratios(self, view: View) -> Ratios:
        """The three multipliers, in the precision in which TensorFlow Lite Micro computes them for this op."""

    def check(self, view: View) -> None:
        super().check(view)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            ratios = self._ratios(view)
        fits = 0 < ratios.out < 1 and all(0 < r <= 0.5 for r in (ratios.a, ratios.b))
        need(fits, "an output scale too small for the inputs'; quantize the model again with sane ranges")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        ratios, (a, b) = self._ratios(view), inputs
        assert a is not None and b is not None
        total = _scaled(a, view.input(0).zero_point, ratios.a) + self.sign * _scaled(b, view.input(1).zero_point, ratios.b)
        multiplier, shift = quantize_multiplier(ratios.out)
        result = rounding_shift(high_mul(total, multiplier), -shift) + view.out.zero_point
        return (np.clip(result, *clamp_of(view)).astype(view.out.dtype.numpy),)


def _scaled(x: Array, zero_point: int, ratio: float) -> Int32:
    multiplier, shift = quantize_multiplier(ratio)
    return rounding_shift(high_mul((x.astype(np.int64) - zero_point) << LEFT_SHIFT, multiplier), -shift)


def sum_kernel(ratios_of: Sum) -> Kernel:
    """The portable kernel. Its input `a` is the one with the larger scale, whose rescaling is an exact shift by 19."""

    def lower(view: View) -> tuple[Call, ...]:
        ratios = ratios_of._ratios(view)
        swap = quantize_multiplier(ratios.a) != HALF
        first, second = (1, 0) if swap else (0, 1)
        signs = (1, ratios_of.sign)
        multiplier, shift = quantize_multiplier(ratios.a if swap else ratios.b)
        out_multiplier, out_shift = quantize_multiplier(ratios.out)
        low, high = clamp_of(view)
        b_shift, b_half, b_sign = rounding(shift)
        shift_out, half, sign = rounding(out_shift, low - view.out.zero_point)
        a, b = view.input(first), view.input(second)
        factor = signs[first] << (LEFT_SHIFT - 1)
        fields: dict[str, int | float | tuple[int, ...] | Array] = {
            **loop_fields(a, b),
            "a_factor": factor, "a_offset": -a.zero_point * factor,
            "b_factor": signs[second], "b_zero_point": b.zero_point,
            "b_multiplier": multiplier, "b_shift": b_shift, "b_half": b_half, "b_sign": b_sign,
            "multiplier": out_multiplier, "shift": shift_out, "half": half, "sign": sign,
            "out_zero_point": view.out.zero_point, "low": low, "high": high,
        }  # fmt: skip
        return (Call("portable/add_s8.h", fields, (In(first), In(second), Out(0))),)

    return Kernel("add_s8", lower, in_place=unrepeated)


def sum_compact(op: Sum) -> Kernel:
    """The kernel of least code, for two inputs of one shape."""

    def scales(view: View) -> list[tuple[int, int]]:
        """Of a, of b, and of their sum; fewer where one is out of the kernel's reach."""
        ratios = op._ratios(view)
        found = [scale(*quantize_multiplier(r)) for r in (ratios.a, ratios.b, ratios.out)]
        return [s for s in found if s is not None]

    def lower(view: View) -> tuple[Call, ...]:
        (a, a_shift), (b, b_shift), (out, shift) = scales(view)
        fields = {
            "size": view.out.size, "a_doubled": a, "b_doubled": b, "doubled": out,
            "a_shift": a_shift, "b_shift": b_shift, "shift": shift, "minus": int(op.sign < 0),
            "a_zero_point": view.input(0).zero_point, "b_zero_point": view.input(1).zero_point, "limits": limits(view),
        }  # fmt: skip
        return (Call("portable/sum_compact_s8.h", fields, (In(0), In(1), Out(0))),)

    def accepts(view: View) -> bool:
        return view.input(0).shape == view.input(1).shape and len(scales(view)) == 3

    return Kernel("sum_compact_s8", lower, accepts=accepts, in_place=unrepeated, compact=True, helped_by=DSP)
