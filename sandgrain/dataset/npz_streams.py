"""A stream of an .npz becomes recordings: cut where labels change, at offsets, or around events."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import npz_arrays
from sandgrain.dataset.npz_arrays import Members, Texts
from sandgrain.dataset.readers.base import MAX_RECORDS, BadFileError, Sample, check_values
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.tables import TableOptions, assemble, check_full_scale, to_counts


@dataclass(frozen=True, slots=True)
class NpzOptions:
    """What an array is."""

    stream: bool = option(
        False,
        "NPZ of sensors: `x` [n, channels] is one stream, a row a sample, and a recording ends where `y` or `group` changes. "
        "Otherwise each row is a recording of one channel.",
    )
    x_array: tuple[str, ...] = option((), "NPZ: the array of samples, or several of one shape, a channel each. Empty: `x`.")
    y_array: str = option(
        "", "NPZ: the array of labels, one a recording: a row, a piece, an event, or a row of a stream. Empty: `y`."
    )
    group_array: str = option("", "NPZ: the array of speakers, subjects or devices, as `y_array`. Empty: `group`.")
    offset_array: str = option(
        "", "NPZ with `stream`: the array of rows at which recordings begin; each goes to the next one, or to the end."
    )
    event_array: str = option(
        "", "NPZ with `stream`: the array of rows at which something happens, such as beats; each gives a recording of `event_s`."
    )
    event_s: float = option(1.0, "With `event_array` or `center`: seconds of a recording, half of them before the event.", ge=0)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, and what is said about its rows, or about its pieces. `rate`: Hz, 0 where nobody says."""

    archive: zipfile.ZipFile
    there: Members
    x: Sequence[zipfile.ZipInfo]
    labels: Texts | None
    groups: Texts | None
    rate: float
    numbers: Array | None = None  # float64: what a model is to give, at each row or for each piece


def read(stream: Stream, layout: Layout) -> Iterator[Sample]:
    """The recordings of a stream. Raises BadFileError."""
    rows, channels = npz_arrays.stream_shape(stream.archive, stream.x, layout)
    columns, options = layout.get(TableOptions).columns, layout.get(NpzOptions)
    names = columns if len(columns) == channels else tuple(str(k + 1) for k in range(channels))
    if options.offset_array or options.event_array:
        yield from _pieces(stream, layout, rows, names)
        return
    if stream.numbers is not None and len(stream.numbers) != rows:
        raise BadFileError(f"has {len(stream.numbers)} numbers and {rows} rows (target_array)")
    cut = stream.labels is not None or stream.groups is not None
    for k, sample in enumerate(assemble(_rows(stream, layout), layout, names), 1):
        yield replace(sample, rate=stream.rate, index=k if cut else sample.index)


def _rows(stream: Stream, layout: Layout) -> Iterator[Rows]:
    """The rows of a stream, in blocks."""
    first = 0
    for block in npz_arrays.blocks(stream.archive, stream.x, layout):
        end = first + len(block)
        y, group = (None if texts is None else texts.of(first, end) for texts in (stream.labels, stream.groups))
        if stream.numbers is not None:
            block = np.column_stack([block, stream.numbers[first:end]])
        yield Rows(block, "row", range(first + 1, end + 1), y, group)
        first = end


def _pieces(stream: Stream, layout: Layout, rows: int, names: Sequence[str]) -> Iterator[Sample]:
    """Recordings between offsets, or around events."""
    options = layout.get(NpzOptions)
    data, clipped = _whole(stream, layout, rows, names)
    if options.event_array:
        spans, note = _around(stream, options, rows)
    else:
        spans, note = _between(stream, options, rows), ""
    if not spans:
        raise BadFileError("has no event so far from its ends that a recording fits around it (event_s)")
    if len(spans) > MAX_RECORDS:
        raise BadFileError(f"has more than {MAX_RECORDS} recordings")
    numbers = stream.numbers
    if numbers is not None and len(numbers) != rows and len(numbers) <= max(which for which, _ in spans):
        raise BadFileError(f"has {len(numbers)} numbers, {rows} rows and {len(spans)} recordings (target_array)")
    for k, (which, (start, end)) in enumerate(spans, 1):
        label, group = (
            None if texts is None else texts.at(start if _by_row(texts, rows, options) else which)
            for texts in (stream.labels, stream.groups)
        )
        said = note if k == len(spans) else ""
        own = numbers if numbers is None else numbers[start:end] if len(numbers) == rows else numbers[which : which + 1]
        yield Sample(data[start:end].copy(), stream.rate, k, label, group, clipped if k == 1 else 0, said, numbers=own)


def _by_row(texts: Texts, rows: int, options: NpzOptions) -> bool:
    """Whether something is said of each row, and not of each piece or event."""
    return len(texts) == rows and not options.event_array


Spans = list[tuple[int, tuple[int, int]]]  # (number of the piece or event, (first row, last + 1))


def _between(stream: Stream, options: NpzOptions, rows: int) -> Spans:
    """The pieces between offsets; cut further where labels are given for each row, and change. Raises BadFileError."""
    at = npz_arrays.places(stream.archive, stream.there, options.offset_array, "offset_array", rows)
    spans = list(enumerate(pairwise([*at.tolist(), *([rows] if at[-1] < rows else [])])))
    for texts in (stream.labels, stream.groups):
        if texts is not None and len(texts) not in (rows, len(spans)):
            raise BadFileError(
                f"{texts.name} has {len(texts)} entries, there are {len(spans)} pieces of {rows} rows (offset_array)"
            )
    if stream.labels is None or len(stream.labels) != rows:
        return spans
    y, made = stream.labels.values, Spans()
    for which, (start, end) in spans:
        edges = [start, *(np.flatnonzero(y[start + 1 : end] != y[start : end - 1]) + start + 1).tolist(), end]
        made += [(which, span) for span in pairwise(edges)]
    return made


def _around(stream: Stream, options: NpzOptions, rows: int) -> tuple[Spans, str]:
    """The spans around events, by the number of the event; and what there is to say about those at the ends."""
    if not stream.rate:
        raise BadFileError("does not say its sampling rate, and event_s is in seconds; set rate")
    at = npz_arrays.places(stream.archive, stream.there, options.event_array, "event_array", rows)
    size = max(1, round(options.event_s * stream.rate))
    starts = at - size // 2
    inside = (starts >= 0) & (starts + size <= rows)
    spans = [(int(k), (int(starts[k]), int(starts[k]) + size)) for k in np.flatnonzero(inside)]
    left = len(at) - len(spans)
    return spans, f"{left} events lie too near to its ends, and are left out" if left else ""


def _whole(stream: Stream, layout: Layout, rows: int, names: Sequence[str]) -> tuple[Array, int]:
    """int16 [rows, channels], and how many values were clipped. Raises BadFileError."""
    check_values(rows, len(names))
    scale, clipped, made, first = check_full_scale(layout, len(names)), 0, [], 0
    missing = layout.get(RowOptions).missing
    for block in npz_arrays.blocks(stream.archive, stream.x, layout):
        counts, lost = to_counts(Rows(block, "row", range(first + 1, first + len(block) + 1)), scale, names, missing)
        made.append(counts)
        clipped, first = clipped + lost, first + len(block)
    return np.concatenate(made), clipped
