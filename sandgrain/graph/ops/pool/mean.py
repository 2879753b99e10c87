"""Mean over any axes: an int32 sum, then one rescaling that divides by the count and changes the scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Foreign, need_quantized
from sandgrain.graph.ops.channels import Interval, held
from sandgrain.graph.ops.pool.reduction import OPTIONS, Reduction, check_sum, reduced_count
from sandgrain.graph.quantization import quantize_multiplier, requantize

MAX_BROADCAST = 1 << 22  # elements that `interval` may spread its intervals over


def mean_rescale(view: View) -> tuple[int, int]:
    """(multiplier, shift) from a sum to the output: TensorFlow Lite's split of 1/count between the two."""
    multiplier, shift = quantize_multiplier(view.input(0).scale / view.out.scale)
    count = reduced_count(view)
    down = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << down) // count, shift - down


class Mean(Reduction):
    name = "mean"
    summary = "mean over constant axes"
    stays_within = True
    foreign = (Foreign("MEAN", 40, 27, OPTIONS, version=2, int16=True),)

    @staticmethod
    def rescale(view: View) -> tuple[int, int]:
        """(multiplier, shift) from a sum to the output."""
        return mean_rescale(view)

    @staticmethod
    def folded(x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.mean(axis=axes), np.float32)

    def check(self, view: View) -> None:
        need_quantized(view.input(0), view.out)
        super().check(view)
        check_sum(view, self.rescale(view)[1])

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        total = x.astype(np.int64).sum(axis=view.attrs["axes"]) - view.input(0).zero_point * reduced_count(view)
        result = requantize(total, *self.rescale(view)) + view.out.zero_point
        return (view.out.dtype.saturated(result).reshape(view.out.shape),)

    def passes_factors(self, view: View, channels: int) -> bool:
        return len(view.input(0).shape) - 1 not in view.attrs["axes"]

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        x = view.input(0)
        if x.size > MAX_BROADCAST:
            return None
        ends = [self.reference(view, [np.broadcast_to(end, x.shape)])[0] for end in known[0]]
        return [Interval(held(ends[0]).low, held(ends[1]).high)]
