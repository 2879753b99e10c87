"""NPZ: `x` [n, ...], a recording an index; optional `y` [n], `group` [n], `labels` (the names of y's numbers) and `rate`.

Audio is [n, samples], motion [n, samples, channels] (or [n, samples]; with `stream`, [samples, channels]), images [n, height, width(, channels)]. Images are uint8;
int8 is taken to be pixels minus 128, as quantized models hold them; floats are 0 to 1. Other kinds are int16 counts, or floats:
audio from -1 to 1, motion in units of `full_scale`. Arrays are read row by row; nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.npy import READ_ERRORS, open_member, read_body, read_header
from sandgrain.dataset import kinds
from sandgrain.dataset.readers.base import (
    MAX_CHANNELS,
    MAX_PIXELS,
    MAX_RECORDS,
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
            labels, groups, rate = _labels(archive, members), _column(archive, members, "group"), _rate(archive, members, layout)
            if layout.get(NpzOptions).stream and kinds.of(layout.kind).sampled and not kinds.of(layout.kind).mono:
                blocks = _stream(archive, members["x"], labels, groups)
                cut = labels is not None or groups is not None
                for k, sample in enumerate(assemble(blocks, layout, _channels(archive, members["x"], layout)), 1):
                    yield replace(sample, rate=rate, index=k if cut else sample.index)
                return
            for k, row in enumerate(_rows(archive, members["x"])):
                data, clipped = _samples(row, k + 1, layout)
                yield Sample(data, rate, k + 1, _at(labels, k, "y"), _at(groups, k, "group"), clipped)
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
    with open_member(archive, info) as stream:
        head = read_header(stream, info)
        if len(head.shape) < 2 or head.dtype.kind not in "iuf":
            raise BadFileError(f"x is {head.dtype} {head.shape}; give numbers, [recordings, ...]")
        if not 0 < head.shape[0] <= MAX_RECORDS:
            raise BadFileError(f"has {head.shape[0]} recordings; 1 to {MAX_RECORDS} are read")
        check_values(head.size // head.dtype.itemsize // head.shape[0], 1)
        if head.fortran:
            if head.size > SMALL:
                raise BadFileError(f"x lies in Fortran order and takes {head.size} bytes; save it in C order")
            yield from read_body(stream, info, head)
            return
        for _ in range(head.shape[0]):
            yield read_body(stream, info, head.row)


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


def _stream(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, labels: list[str] | None, groups: list[str] | None
) -> Iterator[Rows]:
    """The rows of a stream, in blocks."""
    first, block = 0, list[Array]()

    def rows() -> Rows:
        numbers = range(first + 1, first + len(block) + 1)
        y, group = (
            None if texts is None else [_text(texts, n - 1, name) for n in numbers]
            for texts, name in ((labels, "y"), (groups, "group"))
        )
        return Rows(np.array(block, np.float64), "row", numbers, y, group)

    for row in _rows(archive, info):
        block.append(row)
        if len(block) == BLOCK:
            yield rows()
            first, block = first + len(block), []
    if block:
        yield rows()


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


def _column(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> list[str] | None:
    """A one-dimensional array of integers or text, as text; None where it is not there."""
    if name not in members:
        return None
    with open_member(archive, members[name]) as stream:
        head = read_header(stream, members[name])
        if head.dtype.kind not in "iuU" or head.dtype.itemsize > 4 * MAX_LABEL or np.prod(head.shape) > MAX_RECORDS:
            raise BadFileError(f"{name} is {head.dtype} {head.shape}; give integers or short text, one a recording")
        return [str(value) for value in read_body(stream, members[name], head).reshape(-1).tolist()]


def _labels(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> list[str] | None:
    numbers, names = _column(archive, members, "y"), _column(archive, members, "labels")
    if numbers is None or names is None:
        return numbers
    if not all(n.isdigit() and int(n) < len(names) for n in numbers):
        return numbers  # they are names already
    return [names[int(n)] for n in numbers]


def _rate(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], layout: Layout) -> float:
    texts = _column(archive, members, "rate")
    sampled = kinds.of(layout.kind).sampled
    rate = float(texts[0]) if texts and sampled else 0.0
    if rate and layout.rate and rate != layout.rate:
        raise BadFileError(f"is sampled at {rate:g} Hz, the data set at {layout.rate:g} Hz")
    return rate or (layout.rate if sampled else 0.0)


def _at(texts: list[str] | None, k: int, name: str) -> str | None:
    return None if texts is None else _text(texts, k, name)


def _text(texts: list[str], k: int, name: str) -> str:
    if k >= len(texts):
        raise BadFileError(f"{name} has {len(texts)} entries, x has more")
    return texts[k]
