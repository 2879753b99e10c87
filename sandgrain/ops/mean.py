"""Mean over any axes: an int32 sum, then one rescaling that divides by the count and changes the scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.ir import Array, View
from sandgrain.ops.base import Foreign, need_per_tensor_int8
from sandgrain.ops.reduction import OPTIONS, Reduction, check_sum, reduced_count
from sandgrain.quant import INT8_MAX, INT8_MIN, quantize_multiplier, requantize


def mean_rescale(view: View) -> tuple[int, int]:
    """(multiplier, shift) from a sum to the output: TensorFlow Lite's split of 1/count between the two."""
    multiplier, shift = quantize_multiplier(view.input(0).scale / view.out.scale)
    count = reduced_count(view)
    down = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << down) // count, shift - down


class Mean(Reduction):
    name = "mean"
    summary = "mean over constant axes"
    foreign = (Foreign("MEAN", 40, 27, OPTIONS, version=2),)

    @staticmethod
    def rescale(view: View) -> tuple[int, int]:
        """(multiplier, shift) from a sum to the output."""
        return mean_rescale(view)

    def check(self, view: View) -> None:
        need_per_tensor_int8(view.input(0), view.out)
        super().check(view)
        check_sum(view, self.rescale(view)[1])

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        total = x.astype(np.int64).sum(axis=view.attrs["axes"]) - view.input(0).zero_point * reduced_count(view)
        result = requantize(total, *self.rescale(view)) + view.out.zero_point
        return (np.clip(result, INT8_MIN, INT8_MAX).astype(np.int8).reshape(view.out.shape),)
