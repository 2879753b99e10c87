"""CSV and its relatives: rows of numbers between commas, semicolons, tabs, bars or blanks. `dialect` finds out how it is written.

A row with a cell that is no number is left out, as long as there are few of them (`bad_rows`); otherwise the file is bad.
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
from sandgrain.dataset.sensors import SensorOptions
from sandgrain.dataset.tables import Columns, Rows, Scale, TableOptions, Whole, assemble, find_columns
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
    missing: tuple[float, ...] = option(
        (),
        "CSV: numbers that stand for a value that is missing, such as `[-200]`; rows with one are left out, as `bad_rows` says, but for those that "
        "lack only the number to give.",
    )
    header_line: int = option(0, "CSV: the line with the names of the columns, from 1. 0: it is found.", ge=0)
    start_and_rate: bool = option(
        False,
        "CSV: the first line is the time of the first row (seconds, in each column), the second the rate (Hz), as Empatica's wristbands write it.",
    )


OPTIONS = (TableOptions, Scale, RateOptions, CsvOptions, SensorOptions, TargetOptions, CenterOptions)

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
        blocks = _timed(blocks, *_start_and_rate(lines, form), layout.get(Whole).on)
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


def _timed(blocks: Iterator[Rows], start: float, rate: float, joined: bool) -> Iterator[Rows]:
    """The rows, each with its time; alone, they are even, so that only the rate has to fit."""
    first = 0
    for block in blocks:
        skipped = np.zeros(len(block.values), np.int64) if block.skipped is None else block.skipped
        places = first + np.arange(len(block.values)) + np.cumsum(skipped)
        first += len(block.values) + int(skipped.sum()) + block.after
        yield replace(block, times=start + places / rate, skipped=None if joined else block.skipped)


def _blocks(lines: Iterator[tuple[int, list[str]]], form: Dialect, columns: Columns, layout: Layout) -> Iterator[Rows]:
    """Rows in blocks."""
    table = _Table(form, columns, check_unit(layout.get(TableOptions).time_unit), frozenset(layout.get(CsvOptions).missing))
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
    missing: frozenset[float] = frozenset()  # numbers that are no values

    def rows(self, chunk: list[tuple[int, list[str]]]) -> Rows:
        """The rows of some lines; those with a cell that is no number are counted, and the first of them is remembered."""
        numbers: list[int] = []
        kept: list[list[str]] = []
        values: list[list[float]] = []
        times: list[float] = []
        skipped: list[int] = []
        bad, why = 0, ""
        since = 0  # bad rows since the last good one
        for number, cells in chunk:
            try:
                row, time = self._row(number, cells)
            except BadFileError as error:
                bad, since, why = bad + 1, since + 1, why or str(error)
                continue
            numbers.append(number)
            kept.append(cells)
            values.append(row)
            times.append(time)
            skipped.append(since)
            since = 0
        data = np.array(values, np.float64).reshape(len(values), len(self.columns.numbers))
        timed = np.array(times, np.float64) if self.columns.time else None
        label, group = ([row[k] for row in kept] if k >= 0 else None for k in (self.columns.label, self.columns.group))
        return Rows(data, "line", numbers, label, group, timed, np.array(skipped, np.int64), since, bad, why)

    def _row(self, number: int, cells: list[str]) -> tuple[list[float], float]:
        """The channels' values, behind them the number to give, and the time, in seconds. Raises BadFileError."""
        width = len(self.form.names)
        if len(cells) < width or any(cells[width:]):
            first = "the first line" if self.form.first <= 2 else "the header"
            raise BadFileError(f"line {number} has {len(cells)} columns, {first} {width}")
        target = self.columns.target
        try:
            values = [float(cells[k]) for k, _ in self.columns.numbers]
        except ValueError:
            values = [
                math.nan if j == target and dialect.is_missing(cells[k]) else self._number(number, cells[k], name)
                for j, (k, name) in enumerate(self.columns.numbers)
            ]
        if target >= 0 and values[target] in self.missing:
            values[target] = math.nan
        given = values[:-1] if target >= 0 and math.isnan(values[target]) else values  # a row without a number stays input
        if not all(map(math.isfinite, given)):
            k = next(k for k, value in enumerate(given) if not math.isfinite(value))
            raise BadFileError(f"line {number}, column {self.columns.numbers[k][1]}: {values[k]} is not a finite number")
        if self.missing and not self.missing.isdisjoint(given):
            k = next(k for k, value in enumerate(given) if value in self.missing)
            raise BadFileError(f"line {number}, column {self.columns.numbers[k][1]}: a value is missing ({values[k]:g})")
        return values, self._time(number, cells) if self.columns.time else 0.0

    def _number(self, number: int, cell: str, name: str) -> float:
        value = dialect.number(cell, self.form.decimal)
        if value is None:
            raise BadFileError(f"line {number}, column {name}: {_what(cell)}")
        return value

    def _time(self, number: int, cells: list[str]) -> float:
        text = " ".join(cells[k] for k in self.columns.time)
        self.unit = self.unit or unit_of([text.replace(",", ".") if self.form.decimal == "," else text])
        found = seconds(text.replace(",", ".") if self.form.decimal == "," else text, self.unit)
        if found is None or not math.isfinite(found):
            what = (
                _what(text).replace("a number", f"a time ({self.unit})") if found is None else "the time is not a finite number"
            )
            raise BadFileError(f"line {number}, column of the time: {what}")
        return found


def _what(cell: str) -> str:
    return repr(cell.strip()[:SHOWN]) + " is not a number" if cell.strip() else "a value is missing"
