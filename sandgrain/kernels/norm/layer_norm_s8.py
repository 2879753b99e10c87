"""Layer normalization over the last axis, on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.norm.layer_norm import fraction_bits, guard, multiplier_of
from sandgrain.kernels.base import OVER_INPUT, Fields, Kernel, Lowered, lowered


def norm_fields(view: View) -> Fields:
    """The members that both kernels have."""
    depth = view.out.shape[-1]
    return {
        "gamma": view.const(1),
        "beta": view.const(2),
        "eps": guard(view),
        "rows": view.out.size // depth,
        "depth": depth,
        "fraction_bits": fraction_bits(depth),
        "zero_point": view.out.zero_point,
    }


def _lower(view: View) -> Lowered:
    multiplier, shift = multiplier_of(view)
    # A row is summed before its first output, and element i is read before output i is written.
    return lowered("layer_norm_s8", {**norm_fields(view), "multiplier": multiplier, "shift": shift}, sharing=OVER_INPUT)


KERNEL = Kernel("layer_norm_s8", ("layer_norm",), _lower)
