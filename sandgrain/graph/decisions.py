"""Decisions over a stream of scores, and how good they are: false accepts an hour, events that were missed.

The C of the same rule is kernels/runtime/sg_decide.h; both are integers, so they decide alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.graph.dtypes import ACTIVATION

MAX_SMOOTHING = 64
MAX_MARGIN = ACTIVATION.span  # an output cannot lead by more
MAX_HOLD = 1 << 20


@dataclass(frozen=True, slots=True)
class Rule:
    """`smoothing`: results that are added up. `margin`: steps of the int8 output, for each of them, by which a label must lead.
    `hold`: results after a decision in which there is no other; and the label that was decided for has to fall below the margin
    before it is decided for again. `background`: numbers of labels that are never decided for; the
    others must lead them all the same."""

    smoothing: int = 3
    margin: int = 16
    hold: int = 4
    background: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.smoothing <= MAX_SMOOTHING or not 0 <= self.margin <= MAX_MARGIN or not 0 <= self.hold < MAX_HOLD:
            raise UsageError(
                f"decisions from {self.smoothing} results, margin {self.margin}, hold {self.hold}: choose 1 to {MAX_SMOOTHING}, 0 to {MAX_MARGIN}, 0 or more"
            )
        if any(k < 0 for k in self.background):
            raise UsageError(f"background labels {list(self.background)}; give their numbers, 0 or more")


@dataclass(frozen=True, slots=True)
class Event:
    """A label that is really there, from `start` to `end` in seconds."""

    label: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Rates:
    """`false_accepts_per_hour`: decisions without an event of their own, repeats among them. `false_rejects`: share of events without a decision."""

    false_accepts_per_hour: float
    false_rejects: float
    hours: float
    events: int


def decide(scores: Array, rule: Rule) -> npt.NDArray[np.int64]:
    """int8 [n, labels], in time -> int64 [n]: the decision after each result, -1 for none. As the C, from its start."""
    window = np.lib.stride_tricks.sliding_window_view(scores.astype(np.int64), rule.smoothing, axis=0)
    sums = window.sum(axis=-1)
    order = np.sort(sums, axis=1)
    clear = order[:, -1] - order[:, -2] >= rule.margin * rule.smoothing
    best = sums.argmax(axis=1)  # the first of equals, as in the C
    found = np.full(len(scores), -1, np.int64)
    free, held = 0, -1  # the first result that may decide again; the label of the last decision while it leads all along
    for k, label in enumerate(np.where(clear, best, -1).tolist(), rule.smoothing - 1):
        held = label if label == held else -1
        if label >= 0 and held < 0 and k >= free and label not in rule.background:
            found[k] = held = label
            free = k + max(rule.hold, 1)
    return found


def rates(
    decisions: Array, times: Array, events: Sequence[Event], seconds: float, *, ignore: Sequence[int] = (), slack: float = 0.75
) -> Rates:
    """How good decisions at `times` (seconds, the end of each result's window) are over a recording of `seconds`.

    A decision is right when an event of its label began before it and ended at most `slack` seconds before; each event has one, so
    that a second decision for it is a false accept.
    Labels in `ignore` (silence, unknown) are neither accepted nor missed.
    """
    open_events = [e for e in events if e.label not in ignore]
    kept = np.where(np.isin(decisions, list(ignore)), -1, decisions)
    found = matched(kept, times, open_events, slack)
    hours, wrong = seconds / 3600, len(found.repeats) + len(found.false)
    missed = len(open_events) - len(found.hits)
    return Rates(wrong / hours if hours else 0.0, missed / len(open_events) if open_events else 0.0, hours, len(open_events))


@dataclass(frozen=True, slots=True)
class Matched:
    """Which decisions belong to which events. `hits`: number of an event -> when it was decided for first, seconds.

    `repeats`, `false`: (label, seconds) of decisions for an event that had one, and of those without any event of their label.
    """

    hits: dict[int, float]
    repeats: tuple[tuple[int, float], ...]
    false: tuple[tuple[int, float], ...]


def matched(decisions: Array, times: Array, events: Sequence[Event], slack: float) -> Matched:
    """See `rates`."""
    hits: dict[int, float] = {}
    repeats: list[tuple[int, float]] = []
    false: list[tuple[int, float]] = []
    for k in np.flatnonzero(decisions >= 0):
        label, now = int(decisions[k]), float(times[k])
        fitting = [i for i, e in enumerate(events) if e.label == label and e.start <= now <= e.end + slack]
        free = [i for i in fitting if i not in hits]
        if free:
            hits[free[0]] = now
        else:
            (repeats if fitting else false).append((label, now))
    return Matched(hits, tuple(repeats), tuple(false))
