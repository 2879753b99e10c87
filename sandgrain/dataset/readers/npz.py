"""NPZ: `x` [n, ...], a recording an index; optional `y` [n], `group` [n], `labels` (the names of y's numbers) and `rate`.

Audio is [n, samples], motion [n, samples, channels] (or [n, samples]; with `stream`, [samples, channels]), images [n, height, width(, channels)]. Images are uint8;
int8 is taken to be pixels minus 128, as quantized models hold them; floats are 0 to 1. Other kinds are int16 counts, or floats:
audio from -1 to 1, motion in units of `full_scale`. Arrays are read row by row; nothing is ever unpickled.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.npy import READ_ERRORS, Header, open_member, read_body, read_header
from sandgrain.dataset import kinds
from sandgrain.dataset.readers.base import (
    MAX_CHANNELS,
    MAX_PIXELS,
    MAX_RECORDS,
    MAX_ROWS,
    SMALL,
    BadFileError,
    Sample,
    check_unpacked,
    check_values,
    one_line,
)
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.tables import Rows, Scale, TableOptions, assemble, check_full_scale, to_counts

KINDS = ("audio", "image", "motion")
SUFFIXES = (".npz",)
WHAT = "an .npz file"
OWN_CODE = True


@dataclass(frozen=True, slots=True)
class NpzOptions:
    """What an array is."""

    stream: bool = option(
        False,
        "NPZ of sensors: `x` [n, channels] is one stream, a row a sample, and a recording ends where `y` or `group` changes. "
        "Otherwise each row is a recording of one channel.",
    )


OPTIONS = (TableOptions, Scale, NpzOptions)


@dataclass(frozen=True, slots=True)
class Texts:
    """An array of numbers or texts beside `x`. `names`: what the numbers mean; none where they stand for themselves."""

    name: str
    values: Array
    names: tuple[str, ...]

    def of(self, first: int, end: int) -> list[str]:
        """The texts of the rows `first` to `end` of x, that one left out. Raises BadFileError."""
        if end > len(self.values):
            raise BadFileError(f"{self.name} has {len(self.values)} entries, x has more")
        values = self.values[first:end]
        if (values == values[0]).all():  # nearly all blocks of a stream
            return [self._text(values[0])] * len(values)
        return [self._text(value) for value in values]

    def _text(self, value: Any) -> str:
        return self.names[int(value)] if self.names else str(value)


@dataclass(frozen=True, slots=True)
class Columns:
    """What stands beside `x`. `rate`: Hz, 0 where none is said."""

    labels: Texts | None
    groups: Texts | None
    rate: float


def _is_stream(layout: Layout) -> bool:
    """Whether the rows of x are samples of one stream."""
    kind = kinds.of(layout.kind)
    return layout.get(NpzOptions).stream and kind.sampled and not kind.mono


MAX_MEMBERS = 1024  # of the archive
BLOCK = 4096  # rows of a stream at a time
MAX_LABEL = 200  # characters of a fixed-width text in `y`, `group` or `labels`


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def sniff(head: bytes) -> str:
    """See `base.Reader`."""
    return "a ZIP archive" if head[:4] == b"PK\x03\x04" else ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, size)
            if "x" not in members:
                raise BadFileError("has no array x")
            columns = _columns(archive, members, layout)
            if _is_stream(layout):
                blocks = _stream(archive, members["x"], columns)
                cut = columns.labels is not None or columns.groups is not None
                for k, sample in enumerate(assemble(blocks, layout, _channels(archive, members["x"], layout)), 1):
                    yield replace(sample, rate=columns.rate, index=k if cut else sample.index)
                return
            for k, row in enumerate(_rows(archive, members["x"])):
                data, clipped = _samples(row, k + 1, layout)
                label, group = (None if texts is None else texts.of(k, k + 1)[0] for texts in (columns.labels, columns.groups))
                yield Sample(data, columns.rate, k + 1, label, group, clipped)
    except (BadFileError, MemoryError):
        raise
    except READ_ERRORS as error:
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's arrays by name. Names are compared, never used as paths."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise BadFileError(f"has {len(infos)} arrays; at most {MAX_MEMBERS} are read")
    for info in infos:
        check_unpacked(info.file_size, min(info.compress_size, size))
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _rows(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Array]:
    """x[0], x[1], ... in its own dtype; only one is held, unless the array lies in Fortran order."""
    for block in _blocks(archive, info, 1, MAX_RECORDS, "recordings"):
        yield from block


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, rows: int, most: int, what: str) -> Iterator[Array]:
    """x in its own dtype, so many rows at a time (all of them where the array lies in Fortran order). Raises BadFileError."""
    with open_member(archive, info) as stream:
        head = read_header(stream, info)
        if len(head.shape) < 2 or head.dtype.kind not in "iuf":
            raise BadFileError(f"x is {head.dtype} {head.shape}; give numbers, [{what}, ...]")
        if not 0 < head.shape[0] <= most:
            raise BadFileError(f"has {head.shape[0]} {what}; 1 to {most} are read")
        check_values(head.row.size // head.dtype.itemsize, 1)
        if head.fortran:
            if head.size > SMALL:
                raise BadFileError(f"x lies in Fortran order and takes {head.size} bytes; save it in C order")
            yield read_body(stream, info, head)
            return
        for first in range(0, head.shape[0], rows):
            yield read_body(stream, info, Header((min(rows, head.shape[0] - first), *head.shape[1:]), False, head.dtype))


def _channels(archive: zipfile.ZipFile, info: zipfile.ZipInfo, layout: Layout) -> tuple[str, ...]:
    """The names of a stream's channels: those of the layout, or numbers from 1. Raises BadFileError."""
    with open_member(archive, info) as stream:
        shape = read_header(stream, info).shape
    if len(shape) != 2 or not 0 < shape[1] <= MAX_CHANNELS:
        raise BadFileError(
            f"x is {list(shape)}; a stream is [samples, channels], of {MAX_CHANNELS} channels at most; leave stream out"
        )
    columns = layout.get(TableOptions).columns
    return columns if len(columns) == shape[1] else tuple(str(k + 1) for k in range(shape[1]))


def _stream(archive: zipfile.ZipFile, info: zipfile.ZipInfo, columns: Columns) -> Iterator[Rows]:
    """The rows of a stream, in blocks."""
    first = 0
    for block in _blocks(archive, info, BLOCK, MAX_ROWS, "samples"):
        end = first + len(block)
        y, group = (None if texts is None else texts.of(first, end) for texts in (columns.labels, columns.groups))
        yield Rows(block.astype(np.float64), "row", range(first + 1, end + 1), y, group)
        first = end


def _samples(row: Array, index: int, layout: Layout) -> tuple[Array, int]:
    kind = kinds.of(layout.kind)
    if not kind.sampled:
        return _image(row), 0
    if row.ndim > 2 or (kind.mono and row.size != len(row)):
        raise BadFileError(f"x has recordings of {row.shape}; {layout.kind} takes [samples{'' if kind.mono else ', channels'}]")
    row = row.reshape(len(row), -1)
    check_values(*row.shape)
    if row.dtype == np.int16 and not layout.get(Scale).full_scale:
        return row, 0
    scale = check_full_scale(layout, row.shape[1])
    if scale is None and kind.mono and row.dtype.kind == "f":
        scale = np.ones(1)
    columns = layout.get(TableOptions).columns
    names = columns if len(columns) == row.shape[1] else tuple(str(k + 1) for k in range(row.shape[1]))
    return to_counts(Rows(row.astype(np.float64), f"recording {index}, row", range(1, len(row) + 1)), scale, names)


def _image(row: Array) -> Array:
    if row.ndim == 2:
        row = row[:, :, None]
    if row.ndim != 3 or row.shape[0] * row.shape[1] > MAX_PIXELS or row.shape[2] > MAX_CHANNELS:
        raise BadFileError(f"x has images of {row.shape}; give [height, width, channels], at most {MAX_PIXELS} pixels")
    if row.dtype == np.int8:
        return (row.astype(np.int16) + 128).astype(np.uint8)
    if row.dtype.kind == "f":
        if not ((row >= 0) & (row <= 1)).all():
            raise BadFileError("x holds images of floats that are not 0 to 1; save them as uint8")
        return np.rint(row.astype(np.float64) * 255).astype(np.uint8)
    if row.dtype != np.uint8:
        raise BadFileError(f"x holds images of {row.dtype}; save them as uint8")
    return row


def _column(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, most: int = MAX_RECORDS) -> Array | None:
    """A one-dimensional array of integers or text; None where it is not there. Raises BadFileError."""
    if name not in members:
        return None
    with open_member(archive, members[name]) as stream:
        head = read_header(stream, members[name])
        if head.dtype.kind not in "iuU" or head.dtype.itemsize > 4 * MAX_LABEL or math.prod(head.shape) > most:
            raise BadFileError(
                f"{name} is {head.dtype} {head.shape}; give integers or short text, {most} at most, one for each of x"
            )
        return read_body(stream, members[name], head).reshape(-1)


def _columns(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], layout: Layout) -> Columns:
    """What stands beside `x`. Raises BadFileError."""
    most = MAX_ROWS if _is_stream(layout) else MAX_RECORDS
    y, group, names = (_column(archive, members, name, most) for name in ("y", "group", "labels"))
    return Columns(
        None if y is None else Texts("y", y, _meant(y, names)),
        None if group is None else Texts("group", group, ()),
        _rate(archive, members, layout),
    )


def _meant(y: Array, names: Array | None) -> tuple[str, ...]:
    """The names of the numbers in `y`; none where they are names already."""
    if names is None or not len(y):
        return ()
    if y.dtype.kind == "U":
        numbers = np.unique(y).tolist()
        if not all(n.isdecimal() and n.isascii() and int(n) < len(names) for n in numbers):
            return ()
    elif int(y.min()) < 0 or int(y.max()) >= len(names):
        return ()
    return tuple(map(str, names.tolist()))


def _rate(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], layout: Layout) -> float:
    found = _column(archive, members, "rate")
    sampled = kinds.of(layout.kind).sampled
    rate = float(found[0]) if found is not None and len(found) and sampled else 0.0
    if rate and layout.rate and rate != layout.rate:
        raise BadFileError(f"is sampled at {rate:g} Hz, the data set at {layout.rate:g} Hz")
    return rate or (layout.rate if sampled else 0.0)
