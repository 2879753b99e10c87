"""NPY: one array, one recording: [samples], [samples, channels] or, with `channels_first`, [channels, samples].

Integers are counts; floats are in units of `full_scale`, those of audio from -1 to 1. The array is read in blocks of samples, in whichever order
it lies; nothing is ever unpickled. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from sandgrain.base.arrays import Array, as_float64
from sandgrain.base.npy import MAGIC, READ_ERRORS, File, Header, read_header
from sandgrain.dataset import kinds
from sandgrain.dataset.arrays import ArrayOptions, by_samples
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers.base import MAX_CHANNELS, MAX_ROWS, BadFileError, Sample, check_values, one_line
from sandgrain.dataset.records import Layout
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.sensors import SensorOptions
from sandgrain.dataset.tables import Scale, TableOptions, Whole, assemble

KINDS = ("audio", "motion")
SUFFIXES = (".npy",)
WHAT = "an .npy file"
OPTIONS = (TableOptions, RowOptions, Scale, ArrayOptions, SensorOptions, CenterOptions)
OWN_CODE = True

BLOCK = 1 << 18  # values at a time
MANY = "save recordings of one length as x in an .npz, with their labels as y, and anything else as an .npy file each"


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def sniff(head: bytes) -> str:
    """See `base.Reader`."""
    return "an .npy file" if head[: len(MAGIC)] == MAGIC else ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`. One recording a file, or one each `segment` samples."""
    head = header(stream, size)
    start, head = stream.tell(), by_samples(head, layout)
    rows, channels = _shape(head, layout)
    behind = size - start - head.size
    if behind < 0:
        raise BadFileError(f"it is cut short: {size - start} of {head.size} bytes are there")
    columns = layout.get(TableOptions).columns
    if len(columns) not in (0, channels):
        raise BadFileError(f"has {channels} channels, columns has {len(columns)} names")
    names = columns or tuple(str(k + 1) for k in range(channels))
    if kinds.of(layout.kind).mono and head.dtype.kind == "f" and not layout.get(Scale).full_scale:
        layout = replace(layout, options=(*(o for o in layout.options if not isinstance(o, Scale)), Scale((1.0,))))
    note = f"{behind} bytes behind its array are not read" if behind else ""
    yield from assemble(_blocks(stream, start, head, rows, channels), layout, names, note)


def header(stream: BinaryIO, size: int) -> Header:
    """The header of an .npy file of `size` bytes, held against what is there. Raises BadFileError."""
    try:
        return read_header(stream, File("it", size))
    except READ_ERRORS as error:
        raise BadFileError(one_line(error)) from None


def _shape(head: Header, layout: Layout) -> tuple[int, int]:
    """Samples and channels. Raises BadFileError."""
    if head.dtype.kind not in "iuf":
        raise BadFileError(f"holds {head.dtype}, not numbers; save integers or floats")
    if not 1 <= len(head.shape) <= 2:
        way = f"; {MANY}" if head.shape else ""
        raise BadFileError(f"is an array of shape {list(head.shape)}; a recording is [samples] or [samples, channels]{way}")
    rows, channels = head.shape[0], head.shape[1] if len(head.shape) == 2 else 1
    if channels > MAX_CHANNELS and rows <= MAX_CHANNELS:
        turned = "leave channels_first out" if layout.get(ArrayOptions).channels_first else "set channels_first"
        raise BadFileError(
            f"has {channels} channels of {rows} samples; at most {MAX_CHANNELS} are read; {turned} if it lies the other way"
        )
    if layout.get(TableOptions).segment and not layout.get(Whole).on:
        check_values(min(rows, 1), channels)
        if rows > MAX_ROWS:
            raise BadFileError(f"has {rows} samples; at most {MAX_ROWS} are read")
    else:
        check_values(rows, channels)
    if kinds.of(layout.kind).mono and channels != 1:
        raise BadFileError(f"has {channels} channels; {layout.kind} takes [samples]")
    return rows, channels


def _blocks(stream: BinaryIO, start: int, head: Header, rows: int, channels: int) -> Iterator[Rows]:
    """The samples in blocks, wherever each channel of them lies."""
    step = max(1, BLOCK // channels)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        if head.fortran and channels > 1:
            parts = [_values(stream, start, channel * rows + first, count, head) for channel in range(channels)]
            values = np.stack(parts, axis=1)
        else:
            values = _values(stream, start, first * channels, count * channels, head).reshape(count, channels)
        yield Rows(values, "row", range(first + 1, first + count + 1))


def _values(stream: BinaryIO, start: int, first: int, count: int, head: Header) -> Array:
    """float64 [count]: values of an array whose bytes begin at `start`. Raises BadFileError."""
    width = head.dtype.itemsize
    stream.seek(start + first * width)
    data = stream.read(count * width)
    if len(data) < count * width:
        raise BadFileError("it is cut short")
    return as_float64(np.frombuffer(data, head.dtype))


def first_values(stream: BinaryIO, size: int, layout: Layout, most: int) -> tuple[Header, Array]:
    """The header, as of [samples, channels], and at most `most` values of the first samples, float64 [n, channels]. Raises BadFileError."""
    head = by_samples(header(stream, size), layout)
    rows, channels = _shape(head, layout)
    start, count = stream.tell(), max(1, min(rows, most // channels))
    return head, np.concatenate([b.values for b in _some(_blocks(stream, start, head, rows, channels), count)])[:count]


def _some(blocks: Iterator[Rows], count: int) -> Sequence[Rows]:
    found: list[Rows] = []
    for block in blocks:
        found.append(block)
        count -= len(block.values)
        if count <= 0:
            break
    return found
