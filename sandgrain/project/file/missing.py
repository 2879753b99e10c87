"""A number that stands for a value that is missing: -200 or 999 in a table of temperatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.project.file.column import Column, as_float

LEAST = 3  # cells with it
FAR = 2.0  # times the range of all other values: so far away it lies, in one column at least
SMALLEST = 90  # what is nearer to nothing is a value
SAID = "{:g} lies far from all other values, several times: it is taken for a value that is missing (missing)"


def stands_for_missing(columns: Sequence[Column]) -> float | None:
    """The number, or None; see `far_off`."""
    return far_off([c.flat for c in columns if c.share > 0.5])


def far_off(columns: Sequence[Array]) -> float | None:
    """A whole number at the end of a column's values, which are finite, there several times, and far from all others; or None."""
    votes = Counter(v for values in columns if len(values) for v in _far(values))
    return votes.most_common(1)[0][0] if votes else None


def _far(values: Array) -> list[float]:
    found = []
    for end in (float(values.min()), float(values.max())):
        rest = values[values != end]
        if end % 1 or abs(end) < SMALLEST or len(rest) < LEAST or len(values) - len(rest) < LEAST:
            continue
        width = float(rest.max() - rest.min())
        if width > 0 and float(np.abs(rest - end).min()) > FAR * width:
            found.append(end)
    return found


def without(columns: Sequence[Column], value: float) -> list[Column]:
    """The columns with empty cells where that number stands."""
    return [
        Column(
            c.name, [["" if as_float(cell, c.decimal) == value else cell for cell in s] for s in c.stretches], c.decimal, c.unit
        )
        for c in columns
    ]
