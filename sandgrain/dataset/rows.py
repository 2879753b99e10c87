"""Rows of numbers, whatever format they are from, and the rule for those without a value: they are left out, counted, and refused where
they are many. A row that lacks only the number that a model is to give stays: windows of other rows have it for their input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.targets import TargetOptions


@dataclass(frozen=True, slots=True)
class RowOptions:
    """Which rows are left out."""

    missing: tuple[float, ...] = option(
        (),
        "Tables and streams: numbers that stand for a value that is missing, such as `[-200]`; rows with one are left out, as `bad_rows` says, but for "
        "those that lack only the number to give. "
        "Where a file holds whole recordings (JSON, and an .npz that is no stream), one makes it bad.",
    )
    bad_rows: float = option(
        0.05,
        "Tables and streams: share of a file's rows that may hold a cell that is no finite number; they are left out and counted. Above it, the "
        "file is bad.",
        ge=0,
        le=1,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A block of rows: float64 [n, channels], where they stand ("line" 7, 8, ...), and what they have of label, group, time. Behind the
    channels may stand one column more: the number that a model is to give, NaN where nobody says it.

    `times`: seconds. `unread`: rows whose cells could not be read, and why; their values mean nothing. `skipped`: int64 [n], rows left
    out just before each; None: none was.
    """

    values: Array
    word: str
    numbers: Sequence[int]
    labels: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    times: Array | None = None
    unread: Mapping[int, str] = field(default_factory=dict)
    skipped: Array | None = None

    def place(self, row: int) -> str:
        """Where a row stands, for people."""
        return f"{self.word} {self.numbers[row]}"

    def cut(self, start: int, end: int) -> Rows:
        """Rows `start` to `end`."""
        labels, groups = (None if texts is None else texts[start:end] for texts in (self.labels, self.groups))
        times, skipped = (None if a is None else a[start:end] for a in (self.times, self.skipped))
        return Rows(self.values[start:end], self.word, self.numbers[start:end], labels, groups, times, skipped=skipped)

    def at(self, places: Array) -> Rows:
        """The rows at these places (int64, growing)."""
        where: list[int] = places.tolist()
        labels, groups = (None if texts is None else [texts[k] for k in where] for texts in (self.labels, self.groups))
        times, skipped = (None if a is None else a[places] for a in (self.times, self.skipped))
        return Rows(self.values[places], self.word, [self.numbers[k] for k in where], labels, groups, times, skipped=skipped)


def gaps(values: Array, missing: Sequence[float] = ()) -> Array:
    """bool, of the values' shape: no finite number, or one that stands for a value that is missing."""
    found: Array = ~np.isfinite(values)
    return np.asarray(found | np.isin(values, missing)) if missing else found


def why(rows: Rows, row: int, names: Sequence[str], missing: Sequence[float] = ()) -> str:
    """What is wrong with a row that has a gap, and where. `names`: of its columns."""
    if row in rows.unread:
        return rows.unread[row]
    bad = gaps(rows.values[row], missing)
    if not bad.any():
        return f"{rows.place(row)}: the time is not a finite number"
    column = int(bad.argmax())
    value = rows.values[row, column]
    what = f"a value is missing ({value:g})" if np.isfinite(value) else f"{value} is not a finite number"
    return f"{rows.place(row)}, column {names[column]}: {what}"


@dataclass(slots=True)
class LeftOut:
    """Leaves rows without a value out of a file's blocks, which are given in their order, and counts. `names`: of the channels."""

    layout: Layout
    names: Sequence[str]
    rows: int = 0  # that are kept
    bad: int = 0
    why: str = ""  # the first of them was left out
    carried: int = 0  # left out at the end of the last block

    def kept(self, block: Rows) -> Rows:
        """The rows of a block that have all their values; what was left out before each is in `skipped`."""
        missing = self.layout.get(RowOptions).missing
        block = self._told(block, missing)
        bad = np.asarray(gaps(block.values[:, : len(self.names)], missing).any(axis=1)) | np.isinf(block.values).any(axis=1)
        if block.times is not None:
            bad |= ~np.isfinite(block.times)
        bad[list(block.unread)] = True
        places = np.flatnonzero(~bad)
        self.rows, self.bad = self.rows + len(places), self.bad + len(bad) - len(places)
        if len(places) < len(bad):
            self.why = self.why or why(block, int(bad.argmax()), [*self.names, *self._number()], missing)
            skipped = np.diff(places, prepend=-1) - 1
            skipped[:1] += self.carried
            self.carried = len(bad) - 1 - int(places[-1]) if len(places) else self.carried + len(bad)
            return replace(block.at(places), skipped=skipped)
        if self.carried and len(bad):
            skipped = np.zeros(len(bad), np.int64)
            skipped[0], self.carried = self.carried, 0
            return replace(block, skipped=skipped)
        return block

    def _told(self, block: Rows, missing: Sequence[float]) -> Rows:
        """The block with NaN for each number to give that is missing."""
        numbers = block.values[:, len(self.names) :]
        without = np.isnan(numbers) | np.isin(numbers, missing) if missing else np.isnan(numbers)
        if not without.any():
            return block
        return replace(block, values=np.hstack([block.values[:, : len(self.names)], np.where(without, np.nan, numbers)]))

    def _number(self) -> Iterator[str]:
        """What the column behind the channels is called."""
        target = self.layout.get(TargetOptions)
        yield target.target_column or target.target_array

    def note(self) -> str:
        """What to say about the rows that were left out. Raises BadFileError where they are too many of all."""
        whole = self.rows + self.bad
        if not whole:
            raise BadFileError("it holds no samples")
        if not self.bad:
            return ""
        if not self.rows or self.bad > self.layout.get(RowOptions).bad_rows * whole:
            raise BadFileError(
                self.why if self.bad == 1 else f"{self.why}; {self.bad} of {whole} rows are like it (see bad_rows)"
            )
        return f"{self.bad} of {whole} rows left out: {self.why}"
