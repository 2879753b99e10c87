"""What a task adds to the page of text that `sandgrain build` prints: lines and tables, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A table in 80 columns. `numeric`: columns that are aligned to the right. The first column and these are never wrapped."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()


Line = str | Table  # a line of text, "" for an empty one, or a table
