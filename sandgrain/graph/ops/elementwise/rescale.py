"""Checked rescaling: multipliers and activation ranges that a hostile scale cannot break."""

from __future__ import annotations

import math

from sandgrain.graph.ir import Tensor
from sandgrain.graph.ops.base import need
from sandgrain.graph.quantization import INT32_MAX

MAX_LEFT = 30  # a left shift of a 32-bit word


def need_multiplier(real: float, max_left: int = MAX_LEFT) -> None:
    """`real` is a positive, finite ratio of scales whose multiplier shifts left by at most `max_left`."""
    fits = math.isfinite(real) and real > 0 and math.frexp(real)[1] < max_left
    need(fits, f"scales in a ratio of {real:.3g} cannot be rescaled in 32 bits; quantize the model again with sane ranges")


def need_activation(out: Tensor, activation: str) -> None:
    """The fused activation's limits fit 32 bits on the output's scale."""
    if activation != "none":
        fits = out.scale > 0 and 6.0 / out.scale < INT32_MAX // 2
        need(fits, f"an output scale of {out.scale:.3g} is too small for {activation}; quantize the model again with sane ranges")


def rounding(shift: int, low: int | None = None) -> tuple[int, int, int]:
    """(e, half, sign) of a right shift by e = -shift >= 0: x -> (x + half + (sign & (x >> 31))) >> e.

    That is `quant.rounding_shift` where x + half fits 32 bits: halves go away from zero, and e = 0 changes nothing.
    `low` is the result's lower clamp, when there is one. Where it is 0 or more, it hides how negative halves are rounded.
    """
    e = -shift
    hidden = low is not None and low >= 0
    return e, (1 << e) >> 1, -1 if e and not hidden else 0
