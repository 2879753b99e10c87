"""CSV and its relatives: rows of numbers between commas, semicolons, tabs, bars or blanks. `dialect` finds out how it is written.

A row with a cell that is no number is left out, as `rows` says.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from sandgrain.dataset import dialect
from sandgrain.dataset.dialect import Dialect
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers.base import MAX_LINE, MAX_ROWS, BadFileError, RateOptions, Sample, check_rate
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.sensors import SensorOptions
from sandgrain.dataset.tables import Columns, Scale, TableOptions, Whole, assemble, find_columns
from sandgrain.dataset.tables import cuts_at_changes as cuts_at_changes
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.times import check_unit, seconds, unit_of

KINDS = ("motion",)
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
ALSO = (".txt", ".dat")  # may be tables or anything: read where `files` names them
WHAT = "a CSV table"
OWN_CODE = True


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a table of text is written; empty and 0: it is found."""

    delimiter: str = option("", 'CSV: what stands between cells, such as `";"` or `"tab"`. Empty: it is found.')
    decimal: str = option("", 'CSV: the decimal mark, `"."` or `","`. Empty: it is found.')
    encoding: str = option("", f"CSV: {', '.join(dialect.ENCODINGS)}. Empty: it is found.")
    header_line: int = option(0, "CSV: the line with the names of the columns, from 1. 0: it is found.", ge=0)
    start_and_rate: bool = option(
        False,
        "CSV: the first line is the time of the first row (seconds, in each column), the second the rate (Hz), as Empatica's wristbands write it.",
    )


OPTIONS = (TableOptions, RowOptions, Scale, RateOptions, CsvOptions, SensorOptions, TargetOptions, CenterOptions)

BLOCK = 4096  # rows at a time
SHOWN = 40  # characters of a cell that are shown


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def sniff(head: bytes) -> str:
    """Text has no signature: `decode` asks only whether it is text."""
    return ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`."""
    options = layout.get(CsvOptions)
    form, lines = open_table(stream, size, options)
    columns = find_columns(form.names, layout)
    blocks = _blocks(lines, form, columns, layout)
    if options.start_and_rate:
        blocks = _timed(blocks, *_start_and_rate(lines, form))
    yield from assemble(blocks, layout, columns.names, "; ".join(form.notes))


def open_table(
    stream: BinaryIO, size: int, given: dialect.TextOptions = dialect.NOTHING, most: int = MAX_ROWS
) -> tuple[Dialect, Iterator[tuple[int, list[str]]]]:
    """How a table is written, and (line number from 1, cells) of each line of values. Raises BadFileError."""
    head = stream.read(dialect.HEAD)
    form = dialect.find(head, size <= len(head), given)
    stream.seek(0)
    return form, _lines(stream, form, most)


def _lines(stream: BinaryIO, form: Dialect, most: int) -> Iterator[tuple[int, list[str]]]:
    text = io.TextIOWrapper(stream, form.encoding, newline=None)
    number = 0
    try:
        while line := text.readline(MAX_LINE + 2):
            number += 1
            if number > most:
                raise BadFileError(f"has more than {most} lines")
            dialect.check_line(line.rstrip("\n"), number)
            if number < form.first or not line.strip() or line.lstrip().startswith(dialect.COMMENTS):
                continue
            yield number, dialect.cells(line.rstrip("\n"), form.delimiter, number)
    except UnicodeDecodeError:
        name = form.encoding.removesuffix("-sig").upper()
        raise BadFileError(f"line {number + 1} or soon after it is not {name} text; set encoding") from None
    finally:
        if not stream.closed:
            text.detach()  # the stream belongs to whoever opened it


def _start_and_rate(lines: Iterator[tuple[int, list[str]]], form: Dialect) -> tuple[float, float]:
    """Seconds and Hz, from the two lines above the values. Raises BadFileError."""
    found = []
    for what in ("start", "rate"):
        number, row = next(lines, (0, [""]))
        values = {dialect.number(cell, form.decimal) for cell in row if cell.strip()}
        value = values.pop() if len(values) == 1 else None
        if value is None or not math.isfinite(value):
            raise BadFileError(f"line {number or 1} is no {what} (start_and_rate): it has the same number in each column")
        found.append(value)
    return found[0], check_rate(found[1])


def _timed(blocks: Iterator[Rows], start: float, rate: float) -> Iterator[Rows]:
    """The rows, each with its time."""
    first = 0
    for block in blocks:
        yield replace(block, times=start + (first + np.arange(len(block.values))) / rate)
        first += len(block.values)


def _blocks(lines: Iterator[tuple[int, list[str]]], form: Dialect, columns: Columns, layout: Layout) -> Iterator[Rows]:
    """Rows in blocks."""
    table = _Table(form, columns, check_unit(layout.get(TableOptions).time_unit))
    chunk: list[tuple[int, list[str]]] = []
    only = layout.get(Whole).only
    for line in lines:
        if only and columns.group < len(line[1]) and line[1][columns.group] != only:
            continue
        chunk.append(line)
        if len(chunk) >= BLOCK or len(chunk) * len(form.names) >= BLOCK * 64:
            yield table.rows(chunk)
            chunk = []
    if chunk:
        yield table.rows(chunk)


@dataclass(slots=True)
class _Table:
    """What turns lines of cells into rows of numbers."""

    form: Dialect
    columns: Columns
    unit: str

    def rows(self, chunk: list[tuple[int, list[str]]]) -> Rows:
        """The rows of some lines."""
        values: list[list[float]] = []
        times: list[float] = []
        unread: dict[int, str] = {}
        nothing = [0.0] * len(self.columns.numbers)
        for k, (number, cells) in enumerate(chunk):
            try:
                row, time = self._row(number, cells)
            except BadFileError as error:
                row, time, unread[k] = nothing, 0.0, str(error)
            values.append(row)
            times.append(time)
        data = np.array(values, np.float64).reshape(len(values), len(self.columns.numbers))
        timed = np.array(times, np.float64) if self.columns.time else None
        label, group = (
            [cells[k] if k < len(cells) else "" for _, cells in chunk] if k >= 0 else None
            for k in (self.columns.label, self.columns.group)
        )
        return Rows(data, "line", [number for number, _ in chunk], label, group, timed, unread)

    def _row(self, number: int, cells: list[str]) -> tuple[list[float], float]:
        """The channels' values, behind them the number to give, and the time, in seconds. Raises BadFileError."""
        width = len(self.form.names)
        if len(cells) < width or any(cells[width:]):
            first = "the first line" if self.form.first <= 2 else "the header"
            raise BadFileError(f"line {number} has {len(cells)} columns, {first} {width}")
        try:
            values = [float(cells[k]) for k, _ in self.columns.numbers]
        except ValueError:
            values = [
                math.nan if j == self.columns.target and dialect.is_missing(cells[k]) else self._number(number, cells[k], name)
                for j, (k, name) in enumerate(self.columns.numbers)
            ]
        return values, self._time(number, cells) if self.columns.time else 0.0

    def _number(self, number: int, cell: str, name: str) -> float:
        value = dialect.number(cell, self.form.decimal)
        if value is None:
            raise BadFileError(f"line {number}, column {name}: {_what(cell)}")
        return value

    def _time(self, number: int, cells: list[str]) -> float:
        text = " ".join(cells[k] for k in self.columns.time)
        if not text.strip():
            raise BadFileError(f"line {number}, column of the time: a value is missing")
        self.unit = self.unit or unit_of([text.replace(",", ".") if self.form.decimal == "," else text])
        found = seconds(text.replace(",", ".") if self.form.decimal == "," else text, self.unit)
        if found is None or not math.isfinite(found):
            what = f"{text.strip()[:SHOWN]!r} is not a time ({self.unit})" if found is None else "the time is not a finite number"
            raise BadFileError(f"line {number}, column of the time: {what}")
        return found


def _what(cell: str) -> str:
    return repr(cell.strip()[:SHOWN]) + " is not a number" if cell.strip() else "a value is missing"
