"""Rows at times that are not even, on an even grid: between two rows values lie on a straight line; long gaps end a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.readers.base import check_values

JITTER = 0.2  # of a step: beyond it, samples were lost or doubled
GAP = 10  # steps without a row that end a recording


def uneven(shortest: float, longest: float, step: float) -> bool:
    """Whether steps between times are so different that samples were lost, or came when they liked."""
    return not math.isfinite(step) or max(longest / step - 1, 1 - shortest / step) > JITTER


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Rows between long gaps, their times growing: int64 [n] each, at least two. `left`: rows left out; `gaps`: seconds."""

    rows: tuple[Array, ...]
    left: int
    gaps: Array

    @property
    def note(self) -> str:
        """What there is to say about it, or ""."""
        said = [f"{len(self.gaps)} gaps, the longest {float(self.gaps.max()):.3g} s"] if len(self.gaps) else []
        said += [f"{self.left} rows left out, for their time does not grow"] if self.left else []
        return ", ".join(said)


def parts(times: Array, rate: float) -> Parts:
    """Rows at `times` (float64 [n], seconds) that lie beside each other.

    Rows whose time does not grow are left out. A gap of more than GAP steps (of a grid of `rate` Hz, or of the usual distance of rows, the
    longer one) ends a part, and so does a time that goes back that far.
    """
    steps = np.diff(times)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1 / rate
    longest = GAP * max(usual, 1 / rate)
    ends = np.flatnonzero((steps > longest) | (steps < -longest)) + 1
    found, left = list[Array](), 0
    for start, end in zip([0, *ends.tolist()], [*ends.tolist(), len(times)], strict=True):
        own = times[start:end]
        grows = np.flatnonzero(np.concatenate([[True], own[1:] > np.maximum.accumulate(own)[:-1]]))
        left += len(own) - len(grows)
        if len(grows) < 2:
            left += len(grows)
            continue
        found.append(start + grows)
    return Parts(tuple(found), left, steps[steps > longest])


def steps_between(start: float, end: float, rate: float) -> int:
    """Points of a grid of `rate` Hz from `start` to `end` seconds."""
    return int((end - start) * rate + 1e-6) + 1


def on_lines(at: Array, times: Array, data: Array) -> Array:
    """int16 [len(at), channels]: the values of `data` [n, channels], which stand at `times`, on straight lines between them."""
    made = [np.interp(at, times, data[:, k].astype(np.float64)) for k in range(data.shape[1])]
    return np.rint(np.stack(made, axis=1)).astype(np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """int16 [n, channels] on a grid, when it begins (seconds), and a number for each row, float64 [n], where rows have one."""

    data: Array
    start: float
    numbers: Array | None = None


def on_grid(times: Array, data: Array, rate: float, numbers: Array | None = None) -> tuple[list[Part], str]:
    """int16 [n, channels] at `times` (seconds), on even grids of `rate` Hz; and what there is to say about gaps. `numbers`: float64 [n].

    See `parts` for where one ends. Nothing where no two rows lie beside each other.
    """
    found, made = parts(times, rate), list[Part]()
    for rows in found.rows:
        own = times[rows]
        count = steps_between(own[0], own[-1], rate)
        check_values(count, data.shape[1])
        at = own[0] + np.arange(count) / rate
        asked = None if numbers is None else _numbers_at(at, own, numbers[rows])
        made.append(Part(on_lines(at, own, data[rows]), float(own[0]), asked))
    return made, ", ".join(filter(None, (f"put on a grid of {rate:g} Hz", found.note)))


def _numbers_at(at: Array, times: Array, numbers: Array) -> Array:
    """float64 [len(at)]: as `on_lines`, of one number a row; NaN beside a row that has none, but for points on rows that have one."""
    if not np.isnan(numbers).any():
        return np.interp(at, times, numbers)
    left = np.clip(np.searchsorted(times, at, "right") - 1, 0, len(times) - 2)
    part = np.clip((at - times[left]) / (times[left + 1] - times[left]), 0, 1)
    part = np.where(np.abs(part - np.rint(part)) < 1e-6, np.rint(part), part)  # times in floats are never quite on the grid
    between = numbers[left] * (1 - part) + numbers[left + 1] * part
    found: Array = np.where(part == 0, numbers[left], np.where(part == 1, numbers[left + 1], between))
    return found
