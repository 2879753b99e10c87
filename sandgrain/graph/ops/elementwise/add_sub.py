"""What add and sub share: both inputs brought to one scale, 2^20 / (2 * the larger scale), summed, brought to the output's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import need
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.broadcast import Binary
from sandgrain.graph.quantization import Int32, high_mul, quantize_multiplier, rounding_shift

LEFT_SHIFT = 20


@dataclass(frozen=True, slots=True)
class Ratios:
    """Real multipliers: each input to the common scale, the sum to the output."""

    a: float
    b: float
    out: float


class Sum(Binary):
    """add and sub: `sign` is what the second input counts with."""

    attributes = kinds(activation=str)

    sign: ClassVar[int]

    @abstractmethod
    def ratios(self, view: View) -> Ratios:
        """The three multipliers, in the precision in which TensorFlow Lite Micro computes them for this op."""

    def check(self, view: View) -> None:
        super().check(view)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            ratios = self.ratios(view)
        fits = 0 < ratios.out < 1 and all(0 < r <= 0.5 for r in (ratios.a, ratios.b))
        need(fits, "an output scale too small for the inputs'; quantize the model again with sane ranges")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        ratios, (a, b) = self.ratios(view), inputs
        assert a is not None and b is not None
        total = _scaled(a, view.input(0).zero_point, ratios.a) + self.sign * _scaled(b, view.input(1).zero_point, ratios.b)
        multiplier, shift = quantize_multiplier(ratios.out)
        result = rounding_shift(high_mul(total, multiplier), -shift) + view.out.zero_point
        return (np.clip(result, *clamp_of(view)).astype(view.out.dtype.numpy),)


def _scaled(x: Array, zero_point: int, ratio: float) -> Int32:
    multiplier, shift = quantize_multiplier(ratio)
    return rounding_shift(high_mul((x.astype(np.int64) - zero_point) << LEFT_SHIFT, multiplier), -shift)
