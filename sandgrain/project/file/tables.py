"""A look into files that hold many recordings: which columns or keys are what. Each gives fields of `look.Look`."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.project.file.naming import naming, speaking

MAX_JSON = 16 << 20  # bytes of a document, as ingest reads it
MAX_HEAD = 1 << 20  # bytes of a table that are looked at
MAX_FILES = 20
MAX_ROWS, MAX_COLUMNS = 2000, 1000  # of it
LABEL_WORDS = ("label", "class", "target", "gesture", "activity", "category", "y")
GROUP_WORDS = ("group", "speaker", "subject", "user", "person", "device", "session", "id")
TIME_WORDS = ("time", "timestamp", "t", "seconds", "time_s")


def _head(path: Path) -> list[list[str]]:
    """The first rows of a CSV file, from its first MAX_HEAD bytes; an empty line is an empty row."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_HEAD).decode("utf-8-sig", "replace")
        rows = csv.reader(text.splitlines()[:MAX_ROWS], delimiter=_delimiter(text))
        return [row[:MAX_COLUMNS] for row in rows]
    except (OSError, csv.Error):
        return []


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def is_labels(path: Path) -> bool:
    head = _head(path)
    return bool(head) and {"file", "label"} <= {c.strip().lower() for c in head[0]}


def look_table(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """CSV files that share the header of the first one."""
    first = _head(base / names[0])
    header = [c.strip() for c in first[0]] if first else []
    if not header or all(_number(c) is not None for c in header):
        raise UsageError(f"{plain(names[0])} has no header line; give its columns names")
    files = [rows[1:] for name in names[:MAX_FILES] if (rows := _head(base / name)) and [c.strip() for c in rows[0]] == header]
    return _columns(names, header, files)


def look_parquet(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """The first rows of the first Parquet file."""
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(base / names[0]) as file:
            header = list(file.schema_arrow.names)[:MAX_COLUMNS]
            batch = next(file.iter_batches(batch_size=MAX_ROWS, columns=header), None)
            columns = [] if batch is None else [batch.column(k).to_pylist() for k in range(len(header))]
    except (OSError, ArrowException) as error:
        raise UsageError(f"{plain(names[0])} cannot be read as Parquet ({type(error).__name__})") from None
    return _columns(names, header, [[[str(v) for v in row] for row in zip(*columns, strict=True)]])


def _columns(names: Sequence[str], header: list[str], files: Sequence[list[list[str]]]) -> dict[str, Any]:
    """Which columns are channels, label, group and time; the value of full scale; the rows between empty lines."""
    full = [row for rows in files for row in rows if len(row) == len(header)]
    roles: dict[str, Any] = {}
    for key, words in (("label_column", LABEL_WORDS), ("group_column", GROUP_WORDS), ("time_column", TIME_WORDS)):
        found = next((h for w in words for h in header if h.lower() == w), None)
        if found is not None and found not in roles.values():
            roles[key] = found
    channels = {h: numbers for k, h in enumerate(header) if h not in roles.values() and (numbers := _numbers(full, k))}
    if not channels:
        raise UsageError(f"{plain(names[0])} has no column of numbers; name the file with the recordings")
    table: list[tuple[str, Any]] = [("columns", tuple(channels)), *roles.items()]
    if length := _between_empty_lines(files):
        table.append(("segment", length))
    if not all(v == int(v) and abs(v) < 32768 for values in channels.values() for v in values):
        table.append(("full_scale", _scales({title: max(map(abs, values)) for title, values in channels.items()})))
    step = 0.0
    if "time_column" in roles:
        times = _numbers(full, header.index(roles["time_column"]))
        step = float(np.median(np.diff(times))) if len(times) > 2 else 0.0
    rate = round(1 / step, 3) if step > 0 else 0.0
    notes = (f"column {plain(roles['time_column'])} steps by {step:g}, and should be in seconds",) if 0 < rate < 2 else ()
    if "label_column" in roles:
        at = header.index(roles["label_column"])
        named: dict[str, Any] = {"labels": tuple(sorted({row[at] for row in full}))}
    elif all("/" not in n for n in names):
        stems = tuple(n.rsplit(".", 1)[0] for n in names)
        named = speaking(stems) if len(names) > 20 else {"name": "{label}", "labels": stems}
    else:
        named = naming(names)
    return {"kind": "motion", "rate": rate, "table": tuple(table), "notes": notes, **named}


def _numbers(rows: Sequence[list[str]], column: int) -> list[float]:
    """The values of a column; none, where one of them is no number."""
    values = [_number(row[column]) for row in rows]
    return [] if any(v is None for v in values) else [v for v in values if v is not None]


def _between_empty_lines(files: Sequence[list[list[str]]]) -> int:
    """Rows of each block, where empty lines cut all files into blocks of one length; 0 otherwise."""
    lengths: set[int] = set()
    for rows in files:
        ends = [k for k, row in enumerate(rows) if not any(c.strip() for c in row)]
        lengths |= {b - a - 1 for a, b in zip([-1, *ends], ends, strict=False)}
    return lengths.pop() if len(lengths) == 1 else 0


def _scales(largest: Mapping[str, float]) -> tuple[float, ...]:
    """One value a column; columns that differ in their last letter only (aX, aY, aZ) share theirs."""
    family = {title: title[:-1] if title[-1:] in set("xyzXYZ") and len(title) > 1 else title for title in largest}
    tops = {name: max(v for t, v in largest.items() if family[t] == name) for name in family.values()}
    return tuple(_round_up(tops[family[title]]) for title in largest)


def _round_up(value: float) -> float:
    """1, 2, 4 or 5 times a power of ten, a little above `value` at least: 0.54 -> 1, 3.7 -> 4, 1870 -> 2000."""
    value *= 1.05
    if not value > 0:
        return 1.0
    power = 10 ** np.floor(np.log10(value))
    return float(next(m * power for m in (1, 2, 4, 5, 10) if m * power >= value * (1 - 1e-9)))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def look_json(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """A list of recordings below some key, each with a list of points; the points' numbers are the channels."""
    first, records = _recordings(base / names[0])
    points = (
        next((k for k, v in first[0].items() if isinstance(v, list) and v and isinstance(v[0], dict | list)), "") if first else ""
    )
    if not points:
        raise UsageError(f"{plain(names[0])} has no list of points in it; write [data] by hand")
    items = first + [item for name in names[1:MAX_FILES] for item in _recordings(base / name)[0]]
    series = [v for item in items if isinstance(v := item.get(points), list)]
    point = series[0][0]
    columns = tuple(k for k, v in point.items() if isinstance(v, int | float)) if isinstance(point, dict) else ()
    kind, keys = (dict, columns) if columns else (list, range(len(point)))
    largest = {
        str(key): max((abs(float(p[key])) for s in series for p in s if isinstance(p, kind) and _has_number(p, key)), default=1.0)
        for key in keys
    }
    label = next((k for w in LABEL_WORDS for k in items[0] if k.lower() == w), "")
    group = next((k for w in GROUP_WORDS for k in items[0] if k.lower() == w), "")
    table: list[tuple[str, Any]] = [("records", records), ("points", points)]
    table += [("columns", columns)] if columns else []
    table += [("label_key", label)] if label not in ("", "label") else []
    table += [("group_key", group)] if group else []
    table += [("full_scale", _scales(largest))]
    lengths = tuple(sorted(map(len, series)))
    named: dict[str, Any] = {"labels": tuple(sorted({str(item.get(label)) for item in items}))} if label else naming(names)
    return {"kind": "motion", "table": tuple(table), "points": lengths, **named}


def _recordings(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The recordings of a JSON file, and the key that they lie below. Raises UsageError."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise UsageError(f"{plain(path.name)} is larger than {MAX_JSON >> 20} MiB; write [data] by hand")
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{plain(path.name)} cannot be read as JSON ({type(error).__name__}); mend it or name another file"
        ) from None
    key = ""
    if isinstance(value, dict):
        lists = {k: v for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
        key = next((k for k, v in lists.items() if any(isinstance(w, list) for w in v[0].values())), "")
        value = value[key] if key else [value]
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else [], key


def _has_number(point: Any, key: Any) -> bool:
    try:
        return isinstance(point[key], int | float) and bool(np.isfinite(point[key]))
    except (KeyError, IndexError, OverflowError):
        return False


def look_npz(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """By the header of its array `x`, [n, ...]."""
    try:
        with zipfile.ZipFile(base / names[0]) as archive, archive.open("x.npy") as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(stream)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{plain(names[0])} holds no array x ({type(error).__name__}); save x [n, ...] and y [n]") from None
    if dtype == np.uint8 and len(shape) in (3, 4):
        return {"kind": "image", "shape": tuple(shape[1:]) if len(shape) == 4 else (*shape[1:], 1)}
    table = () if dtype.kind in "iu" else (("full_scale", (1.0,)),)
    return {"kind": "motion", "table": table}
