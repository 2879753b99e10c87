"""NPZ: `x` [n, ...], a recording an index; optional `y` [n], `group` [n], `labels` (the names of y's numbers) and `rate`.

Arrays of other names are given as `x_array`, `y_array` and so on. Audio is [n, samples], motion [n, samples, channels] (or [n, samples];
with `stream`, [samples, channels] or [samples], see `npz_streams`), images [n, height, width(, channels)]. Images are uint8; int8 is taken to
be pixels minus 128, as quantized models hold them; floats are 0 to 1. Other kinds are int16 counts, or floats: audio from -1 to 1,
motion in units of `full_scale`. Arrays are read row by row; nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from sandgrain.base.arrays import Array, as_float64
from sandgrain.base.npy import READ_ERRORS
from sandgrain.dataset import kinds, npz_streams
from sandgrain.dataset.arrays import ArrayOptions
from sandgrain.dataset.npz_arrays import Members, find, members, number, reals, recordings, texts
from sandgrain.dataset.npz_streams import NpzOptions as NpzOptions
from sandgrain.dataset.npz_streams import Stream
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers.base import (
    MAX_CHANNELS,
    MAX_PIXELS,
    MAX_RECORDS,
    MAX_ROWS,
    BadFileError,
    Sample,
    check_values,
    one_line,
)
from sandgrain.dataset.records import Layout
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.tables import Scale, TableOptions, check_full_scale, to_counts
from sandgrain.dataset.targets import TargetOptions

KINDS = ("audio", "image", "motion")
SUFFIXES = (".npz",)
WHAT = "an .npz file"
OWN_CODE = True
OPTIONS = (TableOptions, RowOptions, Scale, ArrayOptions, NpzOptions, TargetOptions, CenterOptions)
RATES = ("rate", "fs", "sr", "sampling_rate", "sample_rate")  # arrays of one number, Hz


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def cuts_at_changes(layout: Layout) -> bool:
    """See `base.Reader`."""
    options = layout.get(NpzOptions)
    return options.stream and not (options.offset_array or options.event_array)


def sniff(head: bytes) -> str:
    """See `base.Reader`."""
    return "a ZIP archive" if head[:4] == b"PK\x03\x04" else ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`."""
    try:
        with zipfile.ZipFile(stream) as archive:
            there, options = members(archive, size), layout.get(NpzOptions)
            if not options.x_array and "x" not in there:
                raise BadFileError("has no array x; name the array of samples in x_array")
            x = [find(there, name, "x_array") for name in options.x_array or ("x",)]
            if options.y_array:
                find(there, options.y_array, "y_array")
            if options.group_array:
                find(there, options.group_array, "group_array")
            kind = kinds.of(layout.kind)
            is_stream = options.stream and kind.sampled and not kind.mono
            most = MAX_ROWS if is_stream else MAX_RECORDS
            target = layout.get(TargetOptions).target_array
            y = None if target == (options.y_array or "y") else texts(archive, there, options.y_array or "y", most, named=True)
            groups = texts(archive, there, options.group_array or "group", most)
            numbers = reals(archive, there, target, "target_array", most, layout.get(RowOptions).missing)
            rate = _rate(archive, there, layout)
            if is_stream:
                yield from npz_streams.read(Stream(archive, there, x, y, groups, rate, numbers), layout)
                return
            for k, row in enumerate(recordings(archive, x)):
                data, clipped = _samples(
                    row.T if layout.get(ArrayOptions).channels_first and row.ndim == 2 else row, k + 1, layout
                )
                label, group = (None if said is None else said.at(k) for said in (y, groups))
                if numbers is not None and k >= len(numbers):
                    raise BadFileError(f"has {len(numbers)} numbers and more recordings (target_array)")
                own = None if numbers is None else numbers[k : k + 1]
                yield Sample(data, rate, k + 1, label, group, clipped, numbers=own)
    except (BadFileError, MemoryError):
        raise
    except READ_ERRORS as error:
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


def _samples(row: Array, index: int, layout: Layout) -> tuple[Array, int]:
    kind = kinds.of(layout.kind)
    if not kind.sampled:
        return _image(row), 0
    if row.ndim > 2 or (kind.mono and row.size != len(row)):
        raise BadFileError(f"x has recordings of {row.shape}; {layout.kind} takes [samples{'' if kind.mono else ', channels'}]")
    row = row.reshape(len(row), -1)
    check_values(*row.shape)
    missing = layout.get(RowOptions).missing
    if row.dtype == np.int16 and not layout.get(Scale).full_scale and not missing:
        return row, 0
    scale = check_full_scale(layout, row.shape[1])
    if scale is None and kind.mono and row.dtype.kind == "f":
        scale = np.ones(1)
    columns = layout.get(TableOptions).columns
    names = columns if len(columns) == row.shape[1] else tuple(str(k + 1) for k in range(row.shape[1]))
    rows = Rows(as_float64(row), f"recording {index}, row", range(1, len(row) + 1))
    return to_counts(rows, scale, names, missing)


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


def _rate(archive: zipfile.ZipFile, there: Members, layout: Layout) -> float:
    sampled = kinds.of(layout.kind).sampled
    rate = next((found for name in RATES if (found := number(archive, there, name)) > 0), 0.0) if sampled else 0.0
    if rate and layout.rate and rate != layout.rate:
        raise BadFileError(f"is sampled at {rate:g} Hz, the data set at {layout.rate:g} Hz")
    return rate or (layout.rate if sampled else 0.0)
