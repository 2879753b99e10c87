"""Parquet, batch by batch: rows of numbers as in CSV, of flat columns. A row with an empty cell is left out, as `rows` says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers.base import (
    MAX_CHANNELS,
    MAX_ROWS,
    BadFileError,
    RateOptions,
    Sample,
    check_unpacked,
    load_package,
    one_line,
)
from sandgrain.dataset.records import Layout
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.sensors import SensorOptions
from sandgrain.dataset.tables import Columns, Scale, TableOptions, assemble, find_columns
from sandgrain.dataset.tables import cuts_at_changes as cuts_at_changes
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.times import UNITS, check_unit, seconds, unit_of

KINDS = ("motion",)
SUFFIXES = (".parquet",)
WHAT = "a Parquet table"
OPTIONS = (TableOptions, RowOptions, Scale, RateOptions, SensorOptions, TargetOptions, CenterOptions)

BATCH = 4096  # rows at a time
MAX_META = 1 << 22  # bytes of the description at the file's end, of each text in it, and entries of its lists
MAX_GROUPS = 1 << 14  # row groups
SHOWN = 40  # characters of a cell that are shown


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ("pyarrow.parquet",)


def sniff(head: bytes) -> str:
    """See `base.Reader`."""
    return "a Parquet table" if head[:4] == b"PAR1" else ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`."""
    load_package("pyarrow.parquet", "Parquet")
    import pyarrow

    try:
        table = open_table(stream, size)
        header, columns = _columns(table, size, layout)
        blocks = _blocks(table, header, columns, check_unit(layout.get(TableOptions).time_unit))
        yield from assemble(blocks, layout, columns.names)
    except (BadFileError, MemoryError):
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


def open_table(stream: BinaryIO, size: int) -> Any:
    """pyarrow's ParquetFile, whose description takes little memory. Raises BadFileError, or what pyarrow raises."""
    from pyarrow import parquet

    _check_footer(stream, size)
    return parquet.ParquetFile(stream, pre_buffer=False, thrift_string_size_limit=MAX_META, thrift_container_size_limit=MAX_META)


def _check_footer(stream: BinaryIO, size: int) -> None:
    """The file ends in its description's length and "PAR1"."""
    if size < 12:
        raise BadFileError("it is cut short")
    stream.seek(size - 8)
    tail = stream.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - 12:
        raise BadFileError("it is cut short: the description at its end is missing")
    if length > MAX_META:
        raise BadFileError(f"its description has {length} bytes; at most {MAX_META} are read")
    stream.seek(0)


def _columns(table: Any, size: int, layout: Layout) -> tuple[list[str], Columns]:
    """The table's header and the layout's columns in it, once the sizes that it claims are checked."""
    from pyarrow import types

    meta = table.metadata
    if meta.num_columns > MAX_CHANNELS:
        raise BadFileError(f"has {meta.num_columns} columns; at most {MAX_CHANNELS} are read")
    if meta.num_rows > MAX_ROWS or meta.num_row_groups > MAX_GROUPS:
        raise BadFileError(
            f"has {meta.num_rows} rows in {meta.num_row_groups} groups; at most {MAX_ROWS} in {MAX_GROUPS} are read"
        )
    check_unpacked(sum(max(0, meta.row_group(k).total_byte_size) for k in range(meta.num_row_groups)), size)
    schema = table.schema_arrow
    header = [str(name) for name in schema.names]
    columns = find_columns(header, layout)
    for k, _ in columns.numbers:
        kind = schema.types[k]
        if not _is_number(kind):
            raise BadFileError(f"column {header[k]} holds {kind}, not numbers")
    for k in columns.time:
        kind = schema.types[k]
        if not (_is_number(kind) or types.is_timestamp(kind) or _is_text(kind)):
            raise BadFileError(f"column {header[k]} holds {kind}, not times")
    for k in (columns.label, columns.group):
        if k >= 0 and not (types.is_integer(schema.types[k]) or types.is_boolean(schema.types[k]) or _is_text(schema.types[k])):
            raise BadFileError(f"column {header[k]} holds {schema.types[k]}, not text")
    return header, columns


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    plain = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(plain or (types.is_dictionary(kind) and _is_text(kind.value_type)))


def _blocks(table: Any, header: list[str], columns: Columns, unit: str) -> Iterator[Rows]:
    wanted = [
        header[k]
        for k in dict.fromkeys((*(k for k, _ in columns.numbers), *columns.time, columns.label, columns.group))
        if k >= 0
    ]
    at, claimed, clock = 0, table.metadata.num_rows, _Clock([header[k] for k in columns.time], unit)
    for batch in table.iter_batches(batch_size=BATCH, columns=wanted, use_threads=False):
        if at + batch.num_rows > claimed:
            raise BadFileError("has more rows than it says")
        cells = _Cells(batch, range(at + 1, at + batch.num_rows + 1))
        each = [cells.numbers(header[k], may_lack=j == columns.target) for j, (k, _) in enumerate(columns.numbers)]
        values = np.stack(each, axis=1) if each else np.zeros((batch.num_rows, 0))
        times = clock.times(cells) if columns.time else None
        labels, groups = (cells.texts(header[k]) if k >= 0 else None for k in (columns.label, columns.group))
        yield Rows(values, "row", cells.places, labels, groups, times, cells.unread)
        at += batch.num_rows
    if at < claimed:
        raise BadFileError(f"it is cut short: {at} of {claimed} rows are there")


@dataclass(slots=True)
class _Cells:
    """The cells of some rows. `unread`: rows without one of those that were asked for, and why."""

    batch: Any
    places: range
    unread: dict[int, str] = field(default_factory=dict)

    def numbers(self, name: str, may_lack: bool = False) -> Array:
        """float64 [n], NaN where a cell is empty. `may_lack`: such a row is read all the same."""
        from pyarrow import types

        column = self.batch.column(name)
        if not may_lack:
            self._empty(name)
        if types.is_decimal(column.type):
            column = column.cast("float64", safe=False)
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)

    def moments(self, name: str) -> Array:
        """float64 [n]: the seconds of timestamps, NaN where a cell is empty."""
        self._empty(name)
        whole = self.batch.column(name).cast("timestamp[ns]", safe=False).to_numpy(zero_copy_only=False)
        return np.where(np.isnat(whole), np.nan, whole.astype(np.int64) / 1e9)

    def texts(self, name: str) -> list[str]:
        """The cells as text, "" where one is empty."""
        return ["" if value is None else str(value) for value in self.batch.column(name).to_pylist()]

    def kind(self, name: str) -> Any:
        return self.batch.column(name).type

    def _empty(self, name: str) -> None:
        column = self.batch.column(name)
        for row in np.flatnonzero(~column.is_valid().to_numpy(zero_copy_only=False)).tolist() if column.null_count else ():
            self.unread.setdefault(row, f"row {self.places[row]}, column {name}: a value is missing")


@dataclass(slots=True)
class _Clock:
    """Where the times of rows are: one column, or two. `unit`: what they are given in, "" until it is found."""

    names: list[str]
    unit: str

    def times(self, cells: _Cells) -> Array:
        """float64 [n], seconds."""
        from pyarrow import types

        first = self.names[0]
        if len(self.names) == 1 and types.is_timestamp(cells.kind(first)):
            return cells.moments(first)
        if len(self.names) == 1 and not _is_text(cells.kind(first)):
            return cells.numbers(first) * UNITS.get(self.unit, 1.0)
        texts = [" ".join(row).strip() for row in zip(*map(cells.texts, self.names), strict=True)]
        self.unit = self.unit or (unit_of([t for t in texts if t]) if any(texts) else "")
        found = [seconds(text, self.unit) if text else None for text in texts]
        for row, (text, time) in enumerate(zip(texts, found, strict=True)):
            if time is None:
                what = f"{text[:SHOWN]!r} is not a time ({self.unit})" if text else "a value is missing"
                cells.unread.setdefault(row, f"row {cells.places[row]}, column {first}: {what}")
        return np.array([math.nan if time is None else time for time in found], np.float64)
