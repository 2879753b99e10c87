"""Rescaling with one multiply: (offset + ((acc << k) * multiplier >> 32)) >> s, and the proof that it is exact.

The house rule rounds twice (quant.requantize). Nested floors are one floor, so where the clamp hides how negative halves
are rounded, the rule is floor((acc * multiplier + 2^30 + 2^(30+r) + zero_point * 2^(31+r)) / 2^(31+r)) for a right shift by
r >= 1, and with k = s + 1 - r >= 2 the constant is a multiple of 2^32 once acc is scaled by 2^k: one SMMLA and one SSAT. Both
sides never fall as acc rises, so they are equal everywhere when they are equal at the at most 255 places where the
rule's result rises.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import INT8
from sandgrain.graph.quantization import Int64, requantize

TRIES = tuple((least, nudge) for nudge in (0, 1, -1, 2, -2) for least in (2, 1, 0))  # k, units of the scaled accumulator


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What a layer's accumulators become: int64 arrays [channels], and the output's zero point and clamp.

    `lowest`, `highest`: the accumulators a channel can have, zero point's share of the input included.
    """

    multiplier: Int64
    shift: Int64  # > 0 is left
    lowest: Int64
    highest: Int64
    zero_point: int
    low: int
    high: int

    def __call__(self, acc: Int64) -> Int64:
        """Accumulators [channels, n] to outputs, by the house rule."""
        out = requantize(acc, self.multiplier[:, None], self.shift[:, None]).astype(np.int64) + self.zero_point
        return np.asarray(np.clip(out, self.low, self.high), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class OneMultiply:
    """The short form with a final shift by `s`: int64 arrays [channels]."""

    left: Int64  # k
    multiplier: Int64
    offset: Int64
    extra: Int64  # added to the scaled accumulator; 0 where the short form is exact by construction
    s: int

    def __call__(self, acc: Int64) -> Int64:
        """Accumulators [channels, n] to outputs, saturated to int8."""
        wide = (((acc << self.left[:, None]) + self.extra[:, None]) * self.multiplier[:, None]) >> 32
        return np.asarray(np.clip((wide + self.offset[:, None]) >> self.s, INT8.low, INT8.high), np.int64)


def one_multiply(rule: Rule, s: int) -> OneMultiply:
    """The short form of `rule`. It is exact where `equal` says so, and fits 32 bits where `fits` does.

    Channels shifted right by more than s - 1 have few results; their multiplier loses bits, and what the offset is too
    coarse for goes into the accumulator, a unit more or less until they are equal.
    """
    best = _short(rule, s, 2, 0)
    if bool((-rule.shift >= s).any()):
        for least, nudge in TRIES:
            wrong, other = ~equal(rule, best), _short(rule, s, least, nudge)
            if not wrong.any():
                break
            best = _merged(wrong, best, other)
    return best


def _merged(wrong: npt.NDArray[np.bool_], best: OneMultiply, other: OneMultiply) -> OneMultiply:
    """`other` for the channels that are wrong in `best`."""

    def pick(a: Int64, b: Int64) -> Int64:
        return np.asarray(np.where(wrong, b, a), np.int64)

    return OneMultiply(
        pick(best.left, other.left),
        pick(best.multiplier, other.multiplier),
        pick(best.offset, other.offset),
        pick(best.extra, other.extra),
        best.s,
    )


def _short(rule: Rule, s: int, least: int, nudge: int) -> OneMultiply:
    """The short form with k >= `least` (k = s + 1 - r wherever that is 2 or more)."""
    right = -rule.shift
    left = np.asarray(np.maximum(s + 1 - right, np.where(right >= s, least, 2)), np.int64)
    excess = np.maximum(left - (s + 1 - right), 0)
    multiplier = (rule.multiplier + ((np.int64(1) << excess) >> 1)) >> excess
    offset = ((np.int64(1) << left) >> 2) + (1 << (s - 1)) + rule.zero_point * (1 << s)
    unit = 2.0 ** (32 + s) / np.maximum(multiplier, 1)  # of an output, in scaled accumulators
    wanted = np.rint((2.0 ** -(right + 1.0) - ((np.int64(1) << left) >> 2) * 2.0**-s) * unit).astype(np.int64)
    return OneMultiply(left, multiplier, offset, np.asarray(np.where(right >= s, wanted + nudge, 0), np.int64), s)


def fits(rule: Rule, short: OneMultiply) -> bool:
    """Whether every scaled accumulator fits 32 bits."""
    reach = np.maximum(np.abs(rule.lowest), np.abs(rule.highest)).astype(np.float64)
    return bool((reach * 2.0**short.left + np.abs(short.extra) < 2.0**31).all() and (np.abs(short.offset) < 1 << 30).all())


def equal(rule: Rule, short: OneMultiply) -> npt.NDArray[np.bool_]:
    """[channels]: whether `short` equals `rule` for every accumulator from `lowest` to `highest`."""
    steps = np.arange(INT8.low + 1, INT8.high + 1, dtype=np.int64)[None, :]
    lowest, highest = rule.lowest[:, None], rule.highest[:, None]
    first = _first_at_least(rule, steps)
    rises = (first > highest) | (short(np.minimum(first, highest)) >= steps)
    waits = (first <= lowest) | (short(np.maximum(first - 1, lowest)) < steps)
    return np.asarray((rises & waits).all(axis=1))


def _first_at_least(rule: Rule, steps: Int64) -> Int64:
    """[channels, steps]: the least accumulator whose result is at least the step; highest + 1 when there is none."""
    low = np.broadcast_to(rule.lowest[:, None], (len(rule.lowest), steps.shape[1])).copy()
    high = np.broadcast_to(rule.highest[:, None] + 1, low.shape).copy()
    while bool((low < high).any()):
        middle = (low + high) >> 1
        reached = np.asarray(rule(np.minimum(middle, rule.highest[:, None])) >= steps) | (middle > rule.highest[:, None])
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return high


def accumulator_range(weights: Array, bias: Int64, zero_point: int) -> tuple[Int64, Int64]:
    """(lowest, highest) of bias + sum of w * (x - zero_point) over int8 x, for weights [channels, taps].

    `zero_point` itself is among the x, so padding is covered.
    """
    w = weights.astype(np.int64)
    below, above = w * (INT8.low - zero_point), w * (INT8.high - zero_point)
    return bias + np.minimum(below, above).sum(axis=1), bias + np.maximum(below, above).sum(axis=1)
