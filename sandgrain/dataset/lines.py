"""An index file whose lines are recordings within files: row 17 of an .npz is the fall of subject 3.

A line says which recording it means by its number, from 0 or from 1 (`row_column`), or by its place among the lines. Where there is a
column of files, it means a recording of that file; otherwise one of each file, as where several sensors have a file each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandgrain.dataset.labels import LINE, Names, bad_line, file_of, place_of, rows
from sandgrain.dataset.names import Place, escape
from sandgrain.dataset.readers.base import MAX_RECORDS, BadFileError
from sandgrain.dataset.records import BadFile, Layout


@dataclass(slots=True)
class Lines:
    """What the index file says about recordings: name of a file ("": any) -> number from 1 -> what is said."""

    labels: str
    found: dict[str, dict[int, Place]] = field(default_factory=dict)
    used: set[tuple[str, int]] = field(default_factory=set)
    missing: Counter[str] = field(default_factory=Counter[str])  # path -> recordings that no line names
    first: dict[str, int] = field(default_factory=dict)  # path -> the first of them
    names: dict[str, str] = field(default_factory=dict)  # path -> the name in `found`

    def files(self, paths: Iterable[str]) -> list[BadFile]:
        """Find the files that the lines name; those that cannot be found."""
        places, bad = Names(paths, self.labels), []
        for name in self.found:
            there = places.find(name) if name else ()
            if len(there) == 1:
                self.names[there[0]] = name
            elif name:
                what = "several files are called so; write their folder" if there else "it is not there"
                bad.append(BadFile(escape(name), f"{escape(self.labels, 60)} names it, and {what}"))
        return bad

    def of(self, path: str, index: int) -> Place | None:
        """What is said about recording `index` of a file (0: its only one), or None, which is counted."""
        name, number = self.names.get(path, ""), index or 1
        place = self.found.get(name, {}).get(number)
        if place is None:
            self.missing[path] += 1
            self.first.setdefault(path, number)
        else:
            self.used.add((name, number))
        return place

    def left(self) -> list[BadFile]:
        """What was said about nothing, and recordings about which nothing was said."""
        index = escape(self.labels, 60)
        bad = [
            BadFile(escape(path), f"{index} says nothing about {n} of its recordings, such as number {self.first[path]}")
            for path, n in self.missing.items()
        ]
        unused = sum(map(len, self.found.values())) - len(self.used)
        return [*bad, *([BadFile(index, f"{unused} of its lines name recordings that are not there")] if unused else [])]


def read_lines(root: Path, layout: Layout) -> tuple[Lines, list[BadFile]]:
    """The lines of the index file, and those that cannot be used. Raises UsageError as `labels.rows` does."""
    lines, bad = Lines(layout.labels), []
    said: dict[str, dict[int, Place]] = {}
    for number, row in rows(root, layout):
        try:
            name = file_of(row) if layout.file_column else ""
            own = said.setdefault(name, {})
            at = len(own) + 1 if layout.row_column == LINE else _number(row.get("row", ""))
            place = place_of(row)
            if own.setdefault(at, place) != place:
                raise BadFileError(f"names recording {at} a second time, with another label")
        except BadFileError as error:
            bad.append(bad_line(layout, number, row, error))
    from_zero = layout.row_column != LINE and any(0 in own for own in said.values())
    lines.found = {name: {at + from_zero: place for at, place in own.items()} for name, own in said.items()}
    return lines, bad


def _number(cell: str) -> int:
    """A recording's number. Raises BadFileError."""
    text = cell.strip()
    whole = text.removesuffix(".0")
    if not (whole.isascii() and whole.isdigit()) or len(whole) > 9 or int(whole) > MAX_RECORDS:
        raise BadFileError(f"{escape(text, 40)!r} is no number of a recording (row_column)")
    return int(whole)
