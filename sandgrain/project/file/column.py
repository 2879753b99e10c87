"""A column of a table as `init` looks at it: its cells, and what it is taken for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import dialect

Role = Literal["time", "index", "label", "group", "number", "channel", "unused"]
KEYS: dict[Role, str] = {
    "time": "time_column, time_unit",
    "index": "columns",
    "label": "label_column",
    "group": "group_column",
    "number": "target_column",
    "channel": "columns",
    "unused": "columns",
}

TIME_WORDS = "time timestamp datetime date t ts clock elapsed epoch utc zeit temps tempo tiempo"
UNIT_WORDS = {
    "s": "s sec secs second seconds sekunden",
    "ms": "ms msec millis milli millisecond milliseconds msecs",
    "us": "us \u00b5s \u03bcs usec micros micro microsecond microseconds usecs",
    "ns": "ns nsec nanos nanosecond nanoseconds",
    "min": "min minute minutes",
    "h": "hour hours",
}
LABEL_WORDS = (
    "label labels class classes cls lbl tag tags annotation truth target gesture activity category y state status species anomaly fault event condition outcome "
    "occupancy detection word command digit changepoint changepoints"
)
GROUP_WORDS = "group speaker subject user person participant patient player device machine session experiment trial run who id"

EVEN = 0.2  # of the usual step: how far off a step still counts as even
MOST = 0.98  # share that stands for all but a few
NUMBERS = 0.9  # share of numbers from which a column is a channel; the rows of the other cells are left out
FEW = 50  # values that a label or group of numbers takes at most
NAMES = 500  # that one of text takes at most
RUN = 4  # rows with the same label in a row, on average, at least
SOURCES = 12  # values of text that may say which sensor a row is of,
TURNS = 3  # where they change so often: rows, on average
LONG_RUN = 50  # of a label that neither its name nor the last place says


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a column is taken for, and why."""

    column: str
    role: Role
    why: str

    @property
    def key(self) -> str:
        """The keys of [data] that override it."""
        return KEYS[self.role]

    @property
    def text(self) -> str:
        """One line for people."""
        what = "left out" if self.role in ("index", "unused") else self.role
        return f"{self.column}: {what}, {self.why}"


@dataclass(frozen=True)
class Column:
    """The cells of one column: a list for each stretch of rows that follow each other, in one file or another."""

    name: str
    stretches: Sequence[Sequence[str]]
    decimal: str = "."
    unit: str = ""  # what the row below the header says

    @cached_property
    def cells(self) -> list[str]:
        return [cell for stretch in self.stretches for cell in stretch]

    @cached_property
    def filled(self) -> list[str]:
        return [cell for cell in self.cells if cell]

    @cached_property
    def numbers(self) -> list[Array]:
        """float64 of each stretch, NaN where a cell is no number."""
        return [np.array([as_float(c, self.decimal) for c in stretch], np.float64) for stretch in self.stretches]

    @cached_property
    def flat(self) -> Array:
        """Every number."""
        whole = np.concatenate([*self.numbers, np.zeros(0)])
        return np.asarray(whole[np.isfinite(whole)])

    @property
    def share(self) -> float:
        """How many of the cells are numbers."""
        return len(self.flat) / max(1, len(self.cells))

    @property
    def is_text(self) -> bool:
        """Whether what stands in its cells is text as a rule; empty cells say nothing."""
        return len(self.flat) < len(self.filled) / 2

    @cached_property
    def distinct(self) -> int:
        return len(set(self.filled))

    @cached_property
    def words(self) -> list[str]:
        """Its name in pieces: TimeStamp_ms is time, stamp, ms and timestamp."""
        camel = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.name)
        pieces = [w for w in re.split(r"[^a-z\u00b5\u03bc]+", camel.lower()) if w]
        return [*pieces, *[w for w in re.split(r"[^a-z\u00b5\u03bc]+", self.name.lower()) if w and w not in pieces]]

    @property
    def run(self) -> float:
        """Rows with the same cell in a row, on average."""
        changes = sum(sum(a != b for a, b in pairwise(s)) + 1 for s in self.stretches if s)
        return len(self.cells) / max(1, changes)

    def hint(self, words: str) -> int | None:
        """The place of the first of `words` that is in the name; a word of one letter must be all of it."""
        whole = self.name.strip().lower()
        return next((k for k, word in enumerate(words.split()) if (word in self.words if len(word) > 1 else word == whole)), None)


@dataclass(frozen=True, slots=True)
class Clock:
    """A column, or two, that hold the time. `rate`: Hz. `even`: no gap, no jitter to speak of. `usable`: its times tell rows apart."""

    columns: tuple[str, ...]
    unit: str
    rate: float
    even: bool
    usable: bool
    why: str
    doubt: str = ""  # what it may be as well


@dataclass(slots=True)
class Table:
    """The columns of a table, judged. `left`: columns without a verdict yet."""

    left: dict[str, Column]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    clock: Clock | None = None
    bad_share: float = 0.0  # of rows with a cell that is no number, where a channel has a number
    doubts: list[str] = field(default_factory=list)  # what may as well be otherwise, and the key that says so

    def give(self, name: str, role: Role, why: str) -> Column:
        self.verdicts[name] = Verdict(name, role, why)
        return self.left.pop(name)

    def of(self, role: Role) -> tuple[str, ...]:
        """The columns of a role, in the order of the table."""
        return tuple(v.column for v in self.verdicts.values() if v.role == role)


def as_float(cell: str, decimal: str) -> float:
    """The number in a cell, NaN where it is none."""
    value = dialect.number(cell, decimal)
    return math.nan if value is None else value
