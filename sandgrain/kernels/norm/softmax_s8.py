"""Softmax over the last dimension, each exponential computed where it is needed."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.norm.softmax import scaling
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    multiplier, left, diff_min = scaling(view)
    depth = view.out.shape[-1]
    fields = {
        "rows": view.out.size // depth,
        "depth": depth,
        # int8 differences are -255 at the least, so the bound may be cut there.
        "multiplier": multiplier,
        "left_shift": left,
        "diff_min": max(diff_min, -256),
    }
    # A row is read to its end before its first output, and element i is read before output i is written.
    return lowered("softmax_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel("softmax_s8", ("softmax",), _lower, rank=ANY_CORE + 10)
