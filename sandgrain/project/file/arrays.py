"""A look into .npz files: recordings, one an index, or one stream of rows. Gives fields of `look.Look`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.npy import READ_ERRORS, Header, open_member, read_body, read_header
from sandgrain.base.text import plain
from sandgrain.dataset.readers.base import MAX_CHANNELS
from sandgrain.project.file.tables import of_files, persons, scales, spread

FILES = 20  # that are looked into
ROWS = 20_000  # of each
STREAM_ROWS = 50  # that a stream has at least, and so many for each of its columns:
EACH = 8
WIDE = 16  # columns from which rows are taken for recordings of one channel
SMOOTH = 0.7  # of the step between two rows that do not know of each other: below it they follow each other


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A file's first rows and their labels. `head`: of all of x."""

    head: Header
    x: Array
    y: Array | None


def look_npz(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """By array `x`, [n, ...]: its shape, and, where that leaves it open, whether its rows follow each other. Raises UsageError."""
    first = _seen(base, names[0])
    shape, dtype = first.head.shape, first.head.dtype
    if dtype == np.uint8 and len(shape) in (3, 4):
        return {"kind": "image", "shape": tuple(shape[1:]) if len(shape) == 4 else (*shape[1:], 1)}
    whole = () if dtype.kind in "iu" else (("full_scale", (1.0,)),)
    if len(shape) != 2 or shape[1] > MAX_CHANNELS or dtype.kind not in "iuf":
        return {"kind": "motion", "table": whole}
    if not _is_stream(first):
        said = f"x is {list(shape)}: each of its rows is taken for a recording of {shape[1]} samples; stream = true takes x for one stream of {shape[1]} channels"
        return {"kind": "motion", "table": whole, "notes": (said,)}
    return _streams(base, names, first)


def _streams(base: Path, names: Sequence[str], first: _Seen) -> dict[str, Any]:
    """Files that hold a stream each."""
    seen = [first, *(_seen(base, name) for name in spread(names, FILES) if name != names[0])]
    alike = [s for s in seen if s.x.shape[1:] == first.x.shape[1:]]
    width = first.head.shape[1]
    notes = [
        (
            f"x is {list(first.head.shape)}: one stream of {width} channels, for its rows follow each other; stream = false takes each row for "
            f"a recording of {width} samples"
        )
    ]
    table: list[tuple[str, Any]] = [("stream", True)]
    if first.head.dtype.kind == "f":
        largest = {str(k): max(float(np.nanmax(np.abs(s.x[:, k]), initial=0.0)) for s in alike) for k in range(width)}
        table.append(("full_scale", scales(largest)))
    stems = tuple(n.rsplit(".", 1)[0] for n in names)
    if not all(s.y is not None and len(s.y) for s in alike):
        named = of_files(names)
        notes += named.pop("notes", ())
        return {"kind": "motion", "table": tuple(table), "notes": tuple(notes), **named}
    labels = sorted({str(v) for s in alike if s.y is not None for v in s.y.tolist()}, key=lambda t: (not t.isdigit(), len(t), t))
    notes.append("a recording ends where y changes (stream)")
    found: dict[str, Any] = {"kind": "motion", "table": tuple(table), "labels": tuple(labels)}
    if whose := persons(names):
        notes.append(
            f"groups: each of {len(names)} files is one (such as {plain(whose[0], 20)}), by their names; else take {{group}} out of name"
        )
        found |= {"name": "{group}", "groups": len(names)}
    elif not any("/" in n for n in names) and (said := _owners(stems)):
        found |= said
    return {**found, "notes": (*notes, *found.get("notes", ()))}


def _owners(stems: Sequence[str]) -> dict[str, Any]:
    """Names such as s01_watch: the first piece that says that it is a subject or device is the group; the label is in the array."""
    for mark in "_-.":
        rows = [s.split(mark) for s in stems]
        if len({len(r) for r in rows}) != 1 or len(rows[0]) < 2:
            continue
        for k, column in enumerate(zip(*rows, strict=True)):
            if len(persons([f"{v}.npz" for v in column])) and len(set(column)) >= 3:
                pieces = [f"{{part{j + 1}}}" for j in range(len(rows[0]))]
                pieces[k] = "{group}"
                some = sorted(set(column))
                note = f"groups: {', '.join(some[:3])} and {len(some) - 3} more (piece {k + 1} of the names between {mark!r}); if they are none, take {{group}} out of name"
                return {"name": mark.join(pieces), "groups": len(some), "notes": (note,)}
    return {}


def _is_stream(seen: _Seen) -> bool:
    """Whether rows of few columns follow each other: the step from one to the next is smaller than between any two of a label."""
    rows, width = seen.x.shape
    if width > WIDE or rows < max(STREAM_ROWS, EACH * width):
        return False
    same = np.ones(rows - 1, bool)
    if seen.y is not None:
        if len(seen.y) != rows:
            return False
        same = np.asarray(seen.y[1:] == seen.y[:-1])
        if same.mean() < 0.75:
            return False
    values = seen.x.astype(np.float64)
    run = np.concatenate([[0], np.cumsum(~same)])
    counts = np.bincount(run)
    shares = []
    for k in range(width):
        means = np.bincount(run, values[:, k]) / counts
        spread_of = float(np.abs(values[:, k] - means[run]).mean())
        step = float(np.abs(np.diff(values[:, k]))[same].mean())
        if spread_of > 0:
            shares.append(
                step / spread_of / np.sqrt(2)
            )  # of rows that are drawn: the mean step is so many times the mean distance
    return bool(shares) and float(np.median(shares)) < SMOOTH


def _seen(base: Path, name: str) -> _Seen:
    """Raises UsageError where there is no array x."""
    try:
        with zipfile.ZipFile(base / name) as archive:
            x, head = _first(archive, "x")
            return _Seen(head, x, _labels(archive, head.shape[:1]))
    except (*READ_ERRORS, KeyError) as error:
        fact = "there is none" if isinstance(error, KeyError) else plain(str(error) or type(error).__name__, 100)
        raise UsageError(f"{plain(name)} holds no array x ({fact}); save x [n, ...] and y [n]") from None


def _labels(archive: zipfile.ZipFile, rows: tuple[int, ...]) -> Array | None:
    """The first labels; None where there are none, empty where they are not one a row, which reading the recordings will tell."""
    try:
        y, head = _first(archive, "y")
    except KeyError:
        return None
    except READ_ERRORS:
        return np.zeros(0)
    return y if head.shape == rows and head.dtype.kind in "iuU" else np.zeros(0)


def _first(archive: zipfile.ZipFile, name: str) -> tuple[Array, Header]:
    """The first rows of an array, and the header of all of it. Raises KeyError or one of READ_ERRORS."""
    info = archive.getinfo(f"{name}.npy")
    with open_member(archive, info) as stream:
        head = read_header(stream, info)
        if len(head.shape) > 2 or not head.shape:
            return np.zeros(0), head
        return read_body(stream, info, head.first(ROWS)), head
