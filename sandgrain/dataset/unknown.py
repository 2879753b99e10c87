"""Rows whose number nobody says: they stay input of later windows, and windows that have no number because of them are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.readers.base import MAX_UNKNOWN, BadFileError

SHARE = 0.5  # of a window's rows that must have a number, where its own is made from several
WAYS: dict[str, Callable[[Array], float]] = {
    "last": lambda rows: float(rows[-1]),
    "mean": lambda rows: float(np.nanmean(rows)),
    "max": lambda rows: float(np.nanmax(rows)),
}  # how a window gets one number from those of its rows, some of them NaN


@dataclass(frozen=True, slots=True)
class Unknown:
    """Rows of a recording without a number: from `edges[0]` to `edges[1]`, from `edges[2]` to `edges[3]` and so on, the last one left out.

    `how`: one of WAYS, by which windows get their number.
    """

    edges: tuple[int, ...]
    how: str

    @property
    def rows(self) -> int:
        """How many."""
        return sum(self.edges[1::2]) - sum(self.edges[::2])

    def before(self, at: Array) -> Array:
        """int64 [n]: how many rows before each of the rows `at`, int64 [n], have no number."""
        edges = np.array(self.edges, np.int64)
        passed = np.searchsorted(edges, at, "right")
        whole = np.concatenate([[0], np.cumsum(edges[1::2] - edges[::2])])[passed // 2]
        found: Array = whole + np.where(passed % 2 == 1, at - edges[np.maximum(passed - 1, 0)], 0)
        return found

    def windows(self, starts: Array, stops: Array) -> Array:
        """bool [n]: whether the windows from rows `starts` to `stops`, int64 [n], have no number."""
        if self.how == "last":
            found: Array = self.before(stops) > self.before(stops - 1)
            return found
        without: Array = self.before(stops) - self.before(starts)
        return np.asarray(stops - starts - without < SHARE * (stops - starts))

    def between(self, first: int, end: int) -> Unknown | None:
        """Of the rows `first` to `end` alone, counted from there; None where all of them have a number."""
        pairs = [
            (max(a, first) - first, min(b, end) - first)
            for a, b in zip(self.edges[::2], self.edges[1::2], strict=True)
            if max(a, first) < min(b, end)
        ]
        return replace(self, edges=tuple(edge for pair in pairs for edge in pair)) if pairs else None


def edges_of(numbers: Array | None, rows: int) -> tuple[int, ...]:
    """The edges of the rows of a recording that have no number: `numbers` is float64 [rows], or [1] for all, with NaN there. Raises BadFileError."""
    if numbers is None:
        return ()
    without = np.isnan(numbers)
    if len(numbers) == 1:
        return (0, rows) if without[0] else ()
    found = np.flatnonzero(np.diff(without.astype(np.int8), prepend=0, append=0))
    if len(found) > 2 * MAX_UNKNOWN:
        raise BadFileError(
            f"its numbers are missing in {len(found) // 2} places; at most {MAX_UNKNOWN} in one recording are read, so write it to several files"
        )
    return tuple(found.tolist())


def joined(parts: Sequence[tuple[int, Unknown | None]]) -> Unknown | None:
    """Of recordings one behind the other, each with its rows; None where all rows have a number."""
    at, edges, how = 0, list[int](), ""
    for rows, own in parts:
        if own is not None:
            edges += [at + edge for edge in own.edges]
            how = own.how
        at += rows
    return Unknown(tuple(edges), how) if edges else None


def are_edges(value: Any, rows: int) -> bool:
    """Whether this is a list of edges within so many rows, as a stranger's file may hold it; edges that touch are none."""
    return (
        isinstance(value, list)
        and len(value) <= 2 * MAX_UNKNOWN
        and len(value) % 2 == 0
        and all(type(edge) is int for edge in value)
        and all(a < b for a, b in zip([-1, *value], [*value, rows + 1], strict=True))
    )
