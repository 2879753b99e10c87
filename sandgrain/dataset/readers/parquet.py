"""Parquet, batch by batch: rows of numbers as in CSV, of flat columns."""

from __future__ import annotations

from collections.abc import Iterator
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
from sandgrain.dataset.sensors import SensorOptions
from sandgrain.dataset.tables import Columns, Rows, Scale, TableOptions, assemble, find_columns
from sandgrain.dataset.tables import cuts_at_changes as cuts_at_changes
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.times import UNITS, check_unit, seconds, unit_of

KINDS = ("motion",)
SUFFIXES = (".parquet",)
WHAT = "a Parquet table"
OPTIONS = (TableOptions, Scale, RateOptions, SensorOptions, TargetOptions, CenterOptions)

BATCH = 4096  # rows at a time
MAX_META = 1 << 22  # bytes of the description at the file's end, of each text in it, and entries of its lists
MAX_GROUPS = 1 << 14  # row groups


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
    from pyarrow import parquet

    _check_footer(stream, size)
    try:
        table = parquet.ParquetFile(
            stream, pre_buffer=False, thrift_string_size_limit=MAX_META, thrift_container_size_limit=MAX_META
        )
        header, columns = _columns(table, size, layout)
        yield from assemble(
            _blocks(table, header, columns, check_unit(layout.get(TableOptions).time_unit)), layout, columns.names
        )
    except (BadFileError, MemoryError):
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


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
        if not (types.is_integer(kind) or types.is_floating(kind)):
            raise BadFileError(f"column {header[k]} holds {kind}, not numbers")
    for k in columns.time:
        kind = schema.types[k]
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_timestamp(kind) or _is_text(kind)):
            raise BadFileError(f"column {header[k]} holds {kind}, not times")
    for k in (columns.label, columns.group):
        if k >= 0 and not (types.is_integer(schema.types[k]) or _is_text(schema.types[k])):
            raise BadFileError(f"column {header[k]} holds {schema.types[k]}, not text")
    return header, columns


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or (types.is_dictionary(kind) and _is_text(kind.value_type)))


def _blocks(table: Any, header: list[str], columns: Columns, unit: str) -> Iterator[Rows]:
    wanted = [
        header[k]
        for k in dict.fromkeys((*(k for k, _ in columns.numbers), *columns.time, columns.label, columns.group))
        if k >= 0
    ]
    at, claimed = 0, table.metadata.num_rows
    for batch in table.iter_batches(batch_size=BATCH, columns=wanted, use_threads=False):
        if at + batch.num_rows > claimed:
            raise BadFileError("has more rows than it says")
        numbers = range(at + 1, at + batch.num_rows + 1)
        each = [_numbers(batch, header[k], numbers, j == columns.target) for j, (k, _) in enumerate(columns.numbers)]
        values = np.stack(each, axis=1) if each else np.zeros((batch.num_rows, 0))
        times = _times(batch, [header[k] for k in columns.time], numbers, unit) if columns.time else None
        labels, groups = (_texts(batch, header[k]) if k >= 0 else None for k in (columns.label, columns.group))
        yield Rows(values, "row", numbers, labels, groups, times)
        at += batch.num_rows
    if at < claimed:
        raise BadFileError(f"it is cut short: {at} of {claimed} rows are there")


def _numbers(batch: Any, name: str, numbers: range, may_lack: bool = False) -> Array:
    """float64 [n]. `may_lack`: a value may be missing, and is NaN."""
    column = batch.column(name)
    if column.null_count and not may_lack:
        row = next(k for k, there in enumerate(column.is_valid().to_pylist()) if not there)
        raise BadFileError(f"row {numbers[row]}, column {name}: a value is missing")
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _times(batch: Any, names: list[str], numbers: range, unit: str) -> Array:
    """float64 [n], seconds."""
    from pyarrow import types

    column = batch.column(names[0])
    if types.is_timestamp(column.type) and len(names) == 1 and not column.null_count:
        whole = column.cast("timestamp[ns]", safe=False).to_numpy(zero_copy_only=False)
        return np.asarray(whole.astype(np.int64) / 1e9)
    if len(names) == 1 and not _is_text(column.type):
        return _numbers(batch, names[0], numbers) * UNITS.get(unit, 1.0)
    texts = [" ".join(row) for row in zip(*(_texts(batch, name) for name in names), strict=True)]
    unit = unit or unit_of(texts)
    found = [seconds(text, unit) for text in texts]
    if None in found:
        row = found.index(None)
        raise BadFileError(f"row {numbers[row]}, column {names[0]}: {texts[row][:40]!r} is not a time")
    return np.array(found, np.float64)


def _texts(batch: Any, name: str) -> list[str]:
    return ["" if value is None else str(value) for value in batch.column(name).to_pylist()]
