"""A look into .npz files: recordings, one an index, or one stream of rows. Gives fields of `look.Look`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array, as_float64
from sandgrain.base.text import plain
from sandgrain.dataset.names import stem
from sandgrain.dataset.readers.base import MAX_CHANNELS
from sandgrain.project.file.archives import Roles, channels_first, keys, roles
from sandgrain.project.file.scale import scales
from sandgrain.project.file.tables import MIN_GROUPS, apart, of_files, persons, spread
from sandgrain.project.file.target import says_so

FILES = 20  # that are looked into
ROWS = 20_000  # of each that show whether they follow each other
STREAM_ROWS = 50  # that a stream has at least, and so many for each of its columns:
EACH = 8
WHOLE = 1024  # samples of recordings of one length that make one window, at most
WIDE = 16  # columns from which rows are taken for recordings of one channel
SMOOTH = 0.7  # of the step between two rows that do not know of each other: below it they follow each other


def look_npz(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """By the largest array, [n, ...]: its shape, and, where that leaves it open, whether its rows follow each other. Raises UsageError."""
    first = roles(base / names[0])
    shape, dtype = first.head.shape, first.head.dtype
    if dtype == np.uint8 and len(shape) in (3, 4):
        table, notes = keys(first, False)
        picture = tuple(shape[1:]) if len(shape) == 4 else (*shape[1:], 1)
        return {"kind": "image", "shape": picture, "table": tuple(table), "notes": tuple(notes)}
    several = len(first.x) > 1
    width = len(first.x) if several else shape[1] if len(shape) == 2 else 1
    if len(shape) == 1 or (len(shape) == 2 and not several and width <= MAX_CHANNELS and _is_stream(first)):
        return _streams(base, names, first)
    return _recordings(base, names, first)


def _recordings(base: Path, names: Sequence[str], first: Roles) -> dict[str, Any]:
    """Files of recordings, one an index of the first dimension."""
    shape = first.head.shape
    table, notes = keys(first, False)
    if len(shape) == 2 and len(first.x) == 1:
        notes.append(
            f"{first.x[0]} is {list(shape)}: each of its rows is taken for a recording of {shape[1]} samples; stream = true takes {first.x[0]} for one "
            f"stream of {shape[1]} channels"
        )
    turned = channels_first(shape)
    if turned:
        table.append(("channels_first", True))
        notes.append(f"{first.x[0]} is {list(shape)}: {shape[1]} channels of {shape[2]} samples (channels_first)")
    if first.head.dtype.kind == "f":
        values = as_float64(first.values)
        values = values[..., None] if values.ndim == 2 else values.transpose(0, 2, 1) if turned else values
        largest = np.nanmax(np.abs(values), axis=(0, 1), initial=0.0) if values.ndim == 3 else np.ones(1)
        table.append(("full_scale", scales({str(k): float(v) for k, v in enumerate(largest)})))
    found: dict[str, Any] = {"kind": "motion", "table": tuple(table), "notes": tuple(notes), "rate": first.rate}
    if len(shape) >= 2:
        length = shape[2] if turned else shape[1]
        found |= {"points": (length,) * min(shape[0], 2), "whole": length <= WHOLE}
    if first.labels is not None and len(first.labels) == shape[0]:
        found["labels"] = _values(roles(base / n) for n in spread(names, FILES))
        if number := next((name for name in first.targets if says_so(name)), ""):
            notes.append(f"{plain(number, 30)} may be the number to give, instead of a label (target_array)")
            found |= {"number": number, "notes": tuple(notes)}
        if first.groups is not None:
            found["groups"] = len(set(first.groups.tolist()))
    return found


def _streams(base: Path, names: Sequence[str], first: Roles) -> dict[str, Any]:
    """Files that hold a stream each."""
    seen = [first, *(roles(base / name) for name in spread(names, FILES) if name != names[0])]
    alike = [s for s in seen if s.x == first.x and s.head.shape[1:] == first.head.shape[1:]]
    width = len(first.x) if len(first.head.shape) == 1 else first.head.shape[1]
    table, notes = keys(first, True)
    if first.is_usual:
        notes.insert(
            0,
            f"x is {list(first.head.shape)}: one stream of {width} channels, for its rows follow each other; stream = false takes each row for "
            f"a recording of {width} samples",
        )
    table.insert(0, ("stream", True))
    if first.head.dtype.kind == "f":
        flat = [s.values.reshape(len(s.values), -1) for s in alike]
        largest = {str(k): max(float(np.nanmax(np.abs(v[:, k]), initial=0.0)) for v in flat) for k in range(width)}
        table.append(("full_scale", scales(largest)))
    found: dict[str, Any] = {"kind": "motion", "rate": first.rate, "step": first.step, "rhythm": first.rhythm}
    if not all(s.labels is not None and _labels_all(s) for s in alike):
        found |= apart(names) if first.target else of_files(names)
        return {**found, "table": tuple(table), "notes": (*notes, *found.get("notes", ()))}
    if not first.event:
        notes.append(f"a recording ends where {first.y} changes (stream)")
    found["labels"] = _values(alike)
    return {**found, **_owner(names, bool(first.group), notes), "table": tuple(table)}


def _owner(names: Sequence[str], grouped: bool, notes: list[str]) -> dict[str, Any]:
    """Whose the files are, whose labels lie inside: by their names; else each is one, for what lies in one file is alike."""
    if grouped:
        return {"notes": tuple(notes)}
    if whose := persons(names):
        notes.append(
            f"groups: each of {len(names)} files is one (such as {plain(whose[0], 20)}), by their names; else take {{group}} out of name"
        )
        return {"name": "{group}", "groups": len(names), "notes": tuple(notes)}
    if not any("/" in n for n in names) and (said := _owners(tuple(map(stem, names)))):
        return {**said, "notes": (*notes, *said["notes"])}
    depths = {n.count("/") for n in names}
    if len(names) >= MIN_GROUPS and len(depths) == 1:
        folders = [f"{{folder{k}}}" if k else "{folder}" for k in range(depths.pop())]
        notes.append(
            f"groups: each of {len(names)} files is one, for what lies in one file is alike; else take {{group}} out of name"
        )
        return {
            "name": "/".join([*folders, "{group}"]),
            "groups": len({n.rpartition("/")[2] for n in names}),
            "notes": tuple(notes),
        }
    return {"notes": tuple(notes)}


def _labels_all(seen: Roles) -> bool:
    """Whether there is a label for every row, piece or event."""
    return seen.labels is not None and len(seen.labels) > 0


def _values(seen: Any) -> tuple[str, ...]:
    """The labels of some files, sorted; by their names where an archive has these."""
    found = set()
    for one in seen:
        for value in () if one.labels is None else np.unique(one.labels).tolist():
            text = (
                value.decode("utf-8", "replace")
                if isinstance(value, bytes)
                else str(int(value) if isinstance(value, float) else value)
            )
            found.add(one.names[int(text)] if text.isdigit() and int(text) < len(one.names) else text)
    return tuple(sorted(found, key=lambda t: (not t.isdigit(), len(t), t)))


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


def _is_stream(seen: Roles) -> bool:
    """Whether rows of few columns follow each other: where rows are said at which something happens or begins, and where the step from one to
    the next is smaller than between any two of a label."""
    if seen.event and seen.labels is not None and len(seen.labels) != seen.head.shape[0]:
        return True
    x: Array = seen.values[:ROWS]
    y = None if seen.labels is None else seen.labels
    rows, width = x.shape
    if width > WIDE or rows < max(STREAM_ROWS, EACH * width):
        return False
    same = np.ones(rows - 1, bool)
    if y is not None and not seen.offset:
        if len(y) != seen.head.shape[0]:
            return False
        same = np.asarray(y[1:rows] == y[: rows - 1])
        if same.mean() < 0.75:
            return False
    values = as_float64(x)
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
