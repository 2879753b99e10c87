"""JSON recordings: one, or a list of them, each with a list of points. Lengths may differ.

`records` and `points` are keys, or paths of keys with dots between them: "payload.values". A point is an object of numbers
(`columns` are its keys), a list of numbers, or one number. Edge Impulse's acquisition format needs no keys, see `acquisition`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any, BinaryIO

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import acquisition
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers.base import MAX_CHANNELS, MAX_JSON, MAX_RECORDS, BadFileError, Sample, check_values
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.tables import Scale, TableOptions, check_full_scale, to_counts

KINDS = ("motion",)
SUFFIXES = (".json", ".json.gz")
WHAT = "JSON"
OWN_CODE = True


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """Where things are in a document."""

    records: str = option("", "JSON: key of the list of recordings; empty if the file is that list, or one recording.")
    points: str = option("", "JSON: key of a recording's list of points.")
    label_key: str = option("label", "JSON: key of a recording's label.")
    group_key: str = option("", "JSON: key of a recording's group.")


OPTIONS = (TableOptions, RowOptions, Scale, JsonOptions, CenterOptions)


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def sniff(head: bytes) -> str:
    """Text has no signature: `decode` asks only whether it is text."""
    return ""


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`."""
    document, where = _parsed(stream), layout.get(JsonOptions)
    if not where.records and not where.points and acquisition.is_one(document):
        yield acquisition.sample(document, layout)
        return
    found = _follow(document, where.records, "records") if where.records else document
    several = isinstance(found, list) and (bool(where.records) or _holds_recordings(found, where))
    if where.records and not several:
        raise BadFileError(f"{where.records!r} is not a list of recordings")
    recordings = found if several else [found]
    if not recordings:
        raise BadFileError("it holds no recordings")
    if len(recordings) > MAX_RECORDS:
        raise BadFileError(f"has {len(recordings)} recordings; at most {MAX_RECORDS} are read")
    for k, recording in enumerate(recordings):
        yield _sample(recording, k + 1 if several else 0, layout)


def _parsed(stream: BinaryIO) -> Any:
    raw = stream.read(MAX_JSON + 1)
    if len(raw) > MAX_JSON:
        raise BadFileError(f"is longer than {MAX_JSON} bytes; use CSV or Parquet for recordings of this size")
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadFileError("is not UTF-8 text") from None
    except RecursionError:
        raise BadFileError("its lists are nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadFileError(f"line {error.lineno} is not JSON ({error.msg})") from None
    except ValueError:
        raise BadFileError("holds a number of thousands of digits") from None


def _follow(value: Any, path: str, what: str) -> Any:
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            there = f"; it has {', '.join(map(str, value))[:80]}" if isinstance(value, dict) else ""
            raise BadFileError(f"has no {what} under {path!r}{there}")
        value = value[key]
    return value


def _holds_recordings(found: list[Any], options: JsonOptions) -> bool:
    """Whether a file that is a list is one of recordings, or the points of one."""
    if options.points:
        return True
    return bool(found) and isinstance(found[0], list) and bool(found[0]) and isinstance(found[0][0], (list, dict))


def _sample(recording: Any, index: int, layout: Layout) -> Sample:
    where, keys = f"recording {index}: " if index else "", layout.get(JsonOptions)
    points = _follow(recording, keys.points, f"{where}points") if keys.points else recording
    if not isinstance(points, list) or not points:
        raise BadFileError(f"{where}it has no list of points")
    rows, names = _matrix(points, layout, where)
    check_values(*rows.shape)
    block = Rows(rows, f"{where}point", range(1, len(rows) + 1))
    data, clipped = to_counts(block, check_full_scale(layout, len(names)), names, layout.get(RowOptions).missing)
    label, group = (_text(recording, key, where) for key in (keys.label_key, keys.group_key))
    return Sample(data, layout.rate, index, label, group, clipped)


def _matrix(points: list[Any], layout: Layout, where: str) -> tuple[Array, tuple[str, ...]]:
    """float64 [points, channels] and the channels' names."""
    first, columns = points[0], layout.get(TableOptions).columns
    if isinstance(first, dict):
        names = columns or tuple(first)
        keys: tuple[Any, ...] = names
    else:
        width = len(first) if isinstance(first, list) else 1
        names = columns or tuple(str(k + 1) for k in range(width))
        keys = tuple(range(width))
        if len(names) != width:
            raise BadFileError(f"{where}points have {width} values, columns has {len(names)} names")
    if not 0 < len(names) <= MAX_CHANNELS:
        raise BadFileError(f"{where}points have {len(names)} values; 1 to {MAX_CHANNELS} are read")
    check_values(len(points), len(names))
    rows = np.empty((len(points), len(names)), np.float64)
    for k, point in enumerate(points):
        rows[k] = list(map(_value, repeat(point), keys, repeat(names), repeat(f"{where}point {k + 1}")))
    return rows, names


def _value(point: Any, key: Any, names: tuple[str, ...], place: str) -> float:
    """The number under `key` of a point. Raises BadFileError."""
    if isinstance(key, str):
        value = point.get(key) if isinstance(point, dict) else None
    elif isinstance(point, list):
        value = point[key] if len(point) == len(names) else None
    else:
        value = point if len(names) == 1 else None
    if type(value) is not float and type(value) is not int:
        raise BadFileError(f"{place}: {key if isinstance(key, str) else 'value ' + str(key + 1)} is missing or not a number")
    try:
        return float(value)
    except OverflowError:
        raise BadFileError(f"{place}: a number is too large") from None


def _text(recording: Any, key: str, where: str) -> str | None:
    """The label or group of a recording, where it has one."""
    value = recording.get(key) if key and isinstance(recording, dict) else None
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if type(value) is int and abs(value) < 1 << 63:
        return str(value)
    raise BadFileError(f"{where}its {key} is neither text nor an integer")
