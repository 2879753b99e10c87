"""The house rounding as one multiply: constants that put every output step where the rule puts it, found and checked.

Rescaling an accumulator to int8 rises with the accumulator, so it is told whole by its steps: for each level y, the least
accumulator that gives y or more. Two short forms have the same steps (kernels/shared/sg_scale.h):

- up: ((acc + nudge) * multiplier + (add << 32)) >> (31 + right), when nudge * multiplier + (add << 32) lies between two
  bounds that the steps set. The nudge goes into the bias; it moves the sum in small parts of 2^32, so one is looked for.
  None exists where halves that go away from zero show, that is without an activation.
- away: the same with half a unit of the first rounding added, or taken from it below 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import INT8
from sandgrain.graph.quantization import INT32_MAX, Int32, Int64, requantize
from sandgrain.kernels.base import Refused

NUDGES = 1 << 20  # the greatest that is used
MAX_RIGHT = 16  # right shifts that are taken on: keeps `add` in 24 bits and every product here in 63
AWAY_REACH = 1 << 24  # the second form's half unit is off by the accumulator, which must stay small beside it
AROUND = 3  # accumulators to both sides of an estimated step that are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Per channel: `bias`, nudged; `multiplier`; `code` = add * 256 + shift. `away`: which form."""

    bias: Int32
    multiplier: Int32
    code: Int32
    away: bool


@dataclass(frozen=True, slots=True)
class _Channel:
    """Accumulators in lowest..highest; a right shift by `right` >= 1."""

    multiplier: int
    right: int
    lowest: int
    highest: int


def find_steps(
    multiplier: Int32, shift: Int32, weights: Array, bias: Int64, zero_point: int, clamp: tuple[int, int]
) -> Steps | Refused:
    """Constants for output channels that sum bias + weights . x over int8 x, or the first channel that has none.

    `weights`: [channels, taps]. `multiplier`, `shift`: as quant.requantize takes them. `clamp`: the output's, within int8.
    """
    w = weights.astype(np.int64)
    lowest = bias + np.minimum(w * INT8.low, w * INT8.high).sum(axis=1)
    highest = bias + np.maximum(w * INT8.low, w * INT8.high).sum(axis=1)
    failed = 0
    for away in (clamp[0] < zero_point, True):
        found = []
        for channel, (m, s, least, most) in enumerate(zip(multiplier, shift, lowest, highest, strict=True)):
            entry = _constants(_Channel(int(m), -int(s), int(least), int(most)), zero_point, clamp, away)
            if entry is None:
                failed = channel
                break
            found.append(entry)
        else:
            nudge, factor, code = np.array(found, np.int64).reshape(-1, 3).T
            return Steps((bias + nudge).astype(np.int32), factor.astype(np.int32), code.astype(np.int32), away)
    return Refused(f"channel {failed} has no single multiply that rescales it exactly")


def _constants(c: _Channel, zero: int, clamp: tuple[int, int], away: bool) -> tuple[int, int, int] | None:
    """(nudge, multiplier, code) of one channel."""
    first, last = (int(np.clip(requantize(acc, c.multiplier, -c.right) + zero, *clamp)) for acc in (c.lowest, c.highest))
    if first == last and c.right >= 0:
        return 0, 0, (2 * first + 1) * 256 + 1  # the odd one hides the half unit, whichever way it goes
    if not 1 <= c.right <= MAX_RIGHT or max(-c.lowest, c.highest) + NUDGES > INT32_MAX:
        return None
    levels = np.arange(clamp[0] + 1, clamp[1] + 1, dtype=np.int64)
    step = _steps(c, levels - zero)
    return _away(c, zero, levels, step) if away else _nudged(c, levels, step)


def _steps(c: _Channel, levels: Int64) -> Int64:
    """For each level (the zero point taken off) the least accumulator that reaches it; highest + 1 where none does."""
    middle = ((2 * levels - 1) << (30 + c.right)) // c.multiplier
    around = np.clip(middle[:, None] + np.arange(-AROUND, AROUND + 1), c.lowest, c.highest + 1)
    reached = (requantize(around, c.multiplier, -c.right) >= levels[:, None]) | (around > c.highest)
    step: Int64 = around[np.arange(len(levels)), reached.argmax(axis=1)]
    sure = ~reached[:, 0] | (step == c.lowest) | (step > c.highest)
    assert bool((reached.any(axis=1) & sure).all()), "a step lies outside what was looked at"
    return step


def _nudged(c: _Channel, levels: Int64, step: Int64) -> tuple[int, int, int] | None:
    wanted = levels << (31 + c.right)
    least = int((wanted - step * c.multiplier)[step <= c.highest].max(initial=-(1 << 62)))
    most = int((wanted - (step - 1) * c.multiplier - 1)[step > c.lowest].min(initial=1 << 62))
    nudge = _first_between(c.multiplier, 1 << 32, least, most) if least <= most else None
    if nudge is None or nudge > NUDGES:
        return None
    return nudge, c.multiplier, -((nudge * c.multiplier - least) >> 32) * 256 + c.right - 1


def _first_between(step: int, modulus: int, low: int, high: int) -> int | None:
    """The least n >= 0 for which n * step, modulo `modulus`, lies in low..high taken modulo `modulus`. As Euclid's algorithm."""
    if high - low >= modulus or low % modulus > high % modulus or low % modulus == 0:
        return 0  # 0 is in between
    if step == 0:
        return None
    low, high = low % modulus, high % modulus
    times = -(-low // step)
    if times * step <= high:
        return times
    wraps = _first_between(modulus % step, step, -high, -low)
    return None if wraps is None else -(-(low + modulus * wraps) // step)


def _away(c: _Channel, zero: int, levels: Int64, step: Int64) -> tuple[int, int, int] | None:
    if c.right < 2 or max(-c.lowest, c.highest) >= AWAY_REACH:
        return None
    add = (2 * zero + 1) << (c.right - 2)

    def short(acc: Int64) -> Int64:
        half = acc + np.where(acc < 0, -(1 << 30), 1 << 30)
        return np.asarray((acc * c.multiplier + half + (add << 32)) >> (31 + c.right), np.int64)

    rises = (step > c.highest) | (short(np.minimum(step, c.highest)) >= levels)
    waits = (step <= c.lowest) | (short(np.maximum(step - 1, c.lowest)) < levels)
    return (0, c.multiplier, add * 256 + c.right - 1) if bool((rises & waits).all()) else None
