"""CSV: one file a recording, or one table of many with label and group columns, or segments of equal length.

UTF-8, values separated by commas, semicolons or tabs (whichever the first line has most of), numbers with a decimal point.
The first line is a header unless it is all numbers; then the columns are called 1, 2, 3 ... Empty lines are skipped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from sandgrain.dataset.readers.base import MAX_CHANNELS, MAX_LINE, MAX_ROWS, BadFileError, Sample
from sandgrain.dataset.records import Layout
from sandgrain.dataset.tables import Columns, Rows, Scale, TableOptions, assemble, find_columns

KINDS = ("motion",)
SUFFIXES = (".csv", ".tsv")
WHAT = "a CSV table"
OPTIONS = (TableOptions, Scale)

BLOCK = 4096  # rows at a time
BOM = b"\xef\xbb\xbf"


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def sniff(head: bytes) -> str:
    """Text has no signature: `decode` asks only whether it is text."""
    return ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`."""
    lines = split_lines(stream)
    number, first = next(lines, (0, []))
    if not first:
        raise BadFileError("it holds no samples")
    headless = all(map(_is_number, first))
    header = [str(k + 1) for k in range(len(first))] if headless else [name.strip() for name in first]
    columns = find_columns(header, layout)
    ahead = (number, first) if headless else None
    yield from assemble(_blocks(lines, ahead, len(header), columns), layout, columns.names)


def split_lines(stream: BinaryIO, most: int = MAX_ROWS) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, its fields) of each line that is not empty. Raises BadFileError; a line never takes much memory."""
    delimiter, number = "", 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if number > most:
            raise BadFileError(f"has more than {most} lines")
        if len(line) > MAX_LINE:
            columns = max(line.count(b","), line.count(b";"), line.count(b"\t")) + 1
            many = f"line {number} has more than {MAX_CHANNELS} columns" if columns > MAX_CHANNELS else f"line {number} is longer"
            raise BadFileError(f"{many}; lines of at most {MAX_LINE} bytes are read")
        text = _text(line.removeprefix(BOM) if number == 1 else line, number)
        if not text:
            continue
        delimiter = delimiter or max(",;\t", key=text.count)
        yield number, _fields(text, delimiter, number)


def _text(line: bytes, number: int) -> str:
    try:
        text = line.decode("utf-8").strip("\r\n ")
    except UnicodeDecodeError:
        raise BadFileError(f"line {number} is not UTF-8 text") from None
    if "\0" in text:
        raise BadFileError(f"line {number} holds a zero byte: this is no text")
    return text


def _fields(text: str, delimiter: str, number: int) -> list[str]:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        raise BadFileError(f"line {number}: a quotation mark is not closed") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _blocks(
    lines: Iterator[tuple[int, list[str]]], ahead: tuple[int, list[str]] | None, width: int, columns: Columns
) -> Iterator[Rows]:
    """Rows in blocks. `ahead`: a first line of values that was read already."""
    chunk = [ahead] if ahead else []
    for line in lines:
        if len(line[1]) != width:
            raise BadFileError(f"line {line[0]} has {len(line[1])} columns, the first line {width}")
        chunk.append(line)
        if len(chunk) >= BLOCK or len(chunk) * width >= BLOCK * 64:
            yield _rows(chunk, columns)
            chunk = []
    if chunk:
        yield _rows(chunk, columns)


def _rows(chunk: list[tuple[int, list[str]]], columns: Columns) -> Rows:
    wanted = [*columns.channels, *([columns.time] if columns.time >= 0 else [])]
    try:
        flat = [float(fields[k]) for _, fields in chunk for k in wanted]
    except ValueError:
        raise _first_bad(chunk, columns, wanted) from None
    values = np.array(flat, np.float64).reshape(len(chunk), len(wanted))
    return Rows(
        values[:, : len(columns.channels)],
        "line",
        [number for number, _ in chunk],
        _column(chunk, columns.label),
        _column(chunk, columns.group),
        values[:, -1] if columns.time >= 0 else None,
    )


def _column(chunk: list[tuple[int, list[str]]], index: int) -> list[str] | None:
    return None if index < 0 else [fields[index].strip() for _, fields in chunk]


def _first_bad(chunk: list[tuple[int, list[str]]], columns: Columns, wanted: list[int]) -> BadFileError:
    names = dict(zip(columns.channels, columns.names, strict=True))
    number, text, k = next((n, f[k], k) for n, f in chunk for k in wanted if not _is_number(f[k]))
    what = repr(text.strip()[:40]) + " is not a number" if text.strip() else "a value is missing"
    return BadFileError(f"line {number}, column {names.get(k, 'of the time')}: {what}")
