"""The arrays of an .npz: what the layout calls samples, labels, groups, offsets and events, read in pieces and checked before."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array, as_float64, channels_of
from sandgrain.base.npy import Header, open_member, read_body, read_header
from sandgrain.dataset.arrays import by_samples
from sandgrain.dataset.readers.base import (
    MAX_CHANNELS,
    MAX_RECORDS,
    MAX_ROWS,
    SMALL,
    BadFileError,
    check_unpacked,
    check_values,
)
from sandgrain.dataset.records import Layout
from sandgrain.dataset.rows import gaps

MAX_MEMBERS = 1024  # of the archive
BLOCK = 4096  # rows of a stream at a time
MAX_LABEL = 200  # characters of a fixed-width text
SHOWN = 8  # names of arrays in a message
NAMES_OF_LABELS = ("labels", "label_names", "class_names", "classes")  # of the numbers in `y`

Members = Mapping[str, zipfile.ZipInfo]


def members(archive: zipfile.ZipFile, size: int) -> Members:
    """The archive's arrays by name. Names are compared, never used as paths."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise BadFileError(f"has {len(infos)} arrays; at most {MAX_MEMBERS} are read")
    for info in infos:
        check_unpacked(info.file_size, min(info.compress_size, size))
    return {info.filename.removesuffix(".npy"): info for info in infos}


def find(there: Members, name: str, key: str) -> zipfile.ZipInfo:
    """The array of this name. Raises BadFileError that names the key of [data] which says it."""
    if name not in there:
        some = ", ".join(sorted(there)[:SHOWN])
        raise BadFileError(f"has no array {name[:40]} ({key}){f'; it has {some[:120]}' if some else ''}")
    return there[name]


def heads(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo]) -> list[Header]:
    """The headers of arrays of numbers that have one shape. Raises BadFileError."""
    found = []
    for info in infos:
        with open_member(archive, info) as stream:
            found.append(read_header(stream, info))
    for info, head in zip(infos, found, strict=True):
        name = info.filename.removesuffix(".npy")
        if not head.shape or head.dtype.kind not in "iuf":
            raise BadFileError(f"{name[:40]} is {head.dtype} {head.shape}; give numbers, [recordings, ...]")
        if head.shape != found[0].shape:
            raise BadFileError(
                f"{name[:40]} is {head.shape}, the first of x_array {found[0].shape}; arrays of one shape are channels"
            )
    return found


def recordings(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo]) -> Iterator[Array]:
    """x[0], x[1], ... in its own dtype, several arrays as channels behind each other; only one is held, but of Fortran order."""
    head = heads(archive, infos)[0]
    if len(head.shape) < 2:
        name = infos[0].filename.removesuffix(".npy")
        raise BadFileError(
            f"{name[:40]} is {head.dtype} {head.shape}; give numbers, [recordings, ...], or say that it is a stream"
        )
    if not 0 < head.shape[0] <= MAX_RECORDS:
        raise BadFileError(f"has {head.shape[0]} recordings; 1 to {MAX_RECORDS} are read")
    check_values(head.size // head.dtype.itemsize // head.shape[0], 1)
    each = [_parts(archive, info, 1) for info in infos]
    for rows in zip(*each, strict=True):
        yield rows[0][0] if len(rows) == 1 else channels_of([row[0] for row in rows])


def blocks(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo], layout: Layout) -> Iterator[Array]:
    """A stream, [n, channels] (or [channels, n], as the layout says) or channels of [n], as float64 [at most BLOCK, channels]."""
    for parts in zip(*(_parts(archive, info, BLOCK, layout) for info in infos), strict=True):
        yield np.column_stack([as_float64(part) for part in parts])


def stream_shape(archive: zipfile.ZipFile, infos: Sequence[zipfile.ZipInfo], layout: Layout) -> tuple[int, int]:
    """Rows and channels of a stream. Raises BadFileError."""
    shape = by_samples(heads(archive, infos)[0], layout).shape
    channels = len(infos) if len(shape) == 1 else shape[1] if len(shape) == 2 and len(infos) == 1 else 0
    if not 0 < channels <= MAX_CHANNELS:
        turned = " ([channels, samples] with channels_first)" if len(shape) == 2 else ""
        raise BadFileError(
            f"x is {list(shape)}; a stream is [samples, channels]{turned}, of {MAX_CHANNELS} channels at most; leave stream out"
        )
    if not 0 < shape[0] <= MAX_ROWS:
        raise BadFileError(f"has {shape[0]} rows; 1 to {MAX_ROWS} are read")
    return shape[0], channels


def _parts(archive: zipfile.ZipFile, info: zipfile.ZipInfo, rows: int, stream_of: Layout | None = None) -> Iterator[Array]:
    """An array in parts of so many of its first dimension, in its own dtype; of a stream, in parts of so many samples."""
    with open_member(archive, info) as stream:
        given = read_header(stream, info)
        head = given if stream_of is None else by_samples(given, stream_of)
        name = info.filename.removesuffix(".npy")
        if head.fortran and len(head.shape) > 1:
            if head.size > SMALL:
                how = "in Fortran order" if given.fortran else "channel by channel"
                way = "it in C order" if given.fortran else f"{name[:40]}.T in C order and leave channels_first out"
                raise BadFileError(f"{name[:40]} lies {how} and takes {head.size} bytes; save {way}")
            whole = read_body(stream, info, head)
            yield from (whole[k : k + rows] for k in range(0, len(whole), rows))
            return
        for start in range(0, head.shape[0], rows):
            yield read_body(stream, info, Header((min(rows, head.shape[0] - start), *head.shape[1:]), False, head.dtype))


def number(archive: zipfile.ZipFile, there: Members, name: str) -> float:
    """The number that array `name` holds; 0 where it is not there, or no single one."""
    if name not in there:
        return 0.0
    with open_member(archive, there[name]) as stream:
        head = read_header(stream, there[name])
        if head.dtype.kind not in "iuf" or head.size != head.dtype.itemsize:
            return 0.0
        return float(read_body(stream, there[name], head).reshape(-1)[0])


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """An array of numbers or texts that says something of recordings, pieces or rows: never all of it is made into text.

    `names`: what the numbers mean; none where they stand for themselves.
    """

    name: str
    values: Array
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def of(self, first: int, end: int) -> list[str]:
        """The texts of the entries `first` to `end`, that one left out. Raises BadFileError."""
        if end > len(self.values):
            raise BadFileError(f"{self.name} has {len(self.values)} entries, x has more")
        values = self.values[first:end]
        edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)] if len(values) else []
        made: list[str] = []
        for start, stop in pairwise(edges):  # a text is made once for all the rows that it holds for
            made += [self._text(values[start])] * (stop - start)
        return made

    def at(self, k: int) -> str:
        """The text of one entry. Raises BadFileError."""
        return self.of(k, k + 1)[0]

    def _text(self, value: Any) -> str:
        if self.names:
            return self.names[int(value)]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def column(archive: zipfile.ZipFile, there: Members, name: str, most: int = MAX_RECORDS) -> Array | None:
    """A one-dimensional array of whole numbers or text; None where it is not there. Raises BadFileError."""
    if name not in there:
        return None
    with open_member(archive, there[name]) as stream:
        head = read_header(stream, there[name])
        if head.dtype.kind not in "iuUSbf" or head.dtype.itemsize > 4 * MAX_LABEL or math.prod(head.shape) > most:
            raise BadFileError(
                f"{name} is {head.dtype} {head.shape}; give integers or short text, {most} at most, one for each of x"
            )
        values = read_body(stream, there[name], head).reshape(-1)
    if head.dtype.kind == "f":
        if not (np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 1e15)).all():
            raise BadFileError(f"{name} holds numbers that are not whole; give integers or short text, one for each of x")
        return np.asarray(values.astype(np.int64))
    return values.astype(np.int8) if head.dtype.kind == "b" else values


def reals(
    archive: zipfile.ZipFile, there: Members, name: str, key: str, most: int, missing: Sequence[float] = ()
) -> Array | None:
    """float64 [n]: a one-dimensional array of numbers, NaN where one is, or is among `missing`; None where `name` is empty. Raises BadFileError."""
    if not name:
        return None
    info = find(there, name, key)
    with open_member(archive, info) as stream:
        head = read_header(stream, info)
        if head.dtype.kind not in "iuf" or not 0 < math.prod(head.shape) <= most:
            raise BadFileError(f"{name[:40]} is {head.dtype} {head.shape}; give numbers, one for each of x ({key})")
        values = as_float64(read_body(stream, info, head).reshape(-1))
    if np.isinf(values).any():
        at = int(np.isinf(values).argmax())
        raise BadFileError(f"{name[:40]} holds {values[at]} at place {at} ({key}); write NaN where nobody knows")
    return np.where(gaps(values, missing), np.nan, values)


def texts(archive: zipfile.ZipFile, there: Members, name: str, most: int, *, named: bool = False) -> Texts | None:
    """What array `name` says; `named`: by the names of its numbers, where the archive has these. Raises BadFileError."""
    values = column(archive, there, name, most)
    if values is None:
        return None
    words = [found for n in NAMES_OF_LABELS if n != name and (found := column(archive, there, n)) is not None] if named else []
    return Texts(name, values, _meant(values, words[0]) if words else ())


def _meant(y: Array, names: Array) -> tuple[str, ...]:
    """The names of the numbers in `y`; none where they are names already."""
    if not len(y) or y.dtype.kind == "S":
        return ()
    if y.dtype.kind == "U":
        numbers = np.unique(y).tolist()
        if not all(n.isdecimal() and n.isascii() and len(n) < 9 and int(n) < len(names) for n in numbers):
            return ()
    elif int(y.min()) < 0 or int(y.max()) >= len(names):
        return ()
    return tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in names.tolist())


def places(archive: zipfile.ZipFile, there: Members, name: str, key: str, rows: int) -> Array:
    """int64 [k]: rows of a stream that array `name` holds, from 0 to `rows`, growing. Raises BadFileError."""
    info = find(there, name, key)
    with open_member(archive, info) as stream:
        head = read_header(stream, info)
        if head.dtype.kind not in "iu" or len(head.shape) != 1 or not 0 < head.shape[0] <= MAX_RECORDS + 1:
            raise BadFileError(f"{name[:40]} is {head.dtype} {head.shape}; give numbers of rows, 1 to {MAX_RECORDS} ({key})")
        values = read_body(stream, info, head)
    if (values > rows).any() or (values < 0).any() or (np.diff(values.astype(np.int64)) <= 0).any():
        raise BadFileError(f"{name[:40]} does not grow from row 0 to row {rows} ({key})")
    return values.astype(np.int64)
