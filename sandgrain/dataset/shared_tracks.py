"""One file with the labelled stretches of many recordings: a table whose rows name theirs, or JSON of several shapes.

    file,start,end,label                          {"a.csv": {"windows": [["2013-12-10 06:25", "2013-12-12 05:35"]]}}
    a.wav,1.5,2.5,yes                             [{"wav_file": "a.wav", "detection_windows": [[1.0, 1.6]]}]
                                                  {"annotations": [{"file": "a.wav", "start": 1, "end": 2, "label": "yes"}]}

Times are seconds from the beginning of the recording, or dates, which are those of its time column.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandgrain.base.text import plain
from sandgrain.dataset.intervals import END, LABEL, LENGTH, LISTS, START, seconds_of, value_of
from sandgrain.dataset.names import clean, escape, stem, unseen
from sandgrain.dataset.readers.base import MAX_RECORDS, BadFileError
from sandgrain.dataset.times import seconds
from sandgrain.dataset.tracks import MAX_TRACK, Stretch, Track
from sandgrain.dataset.walk import open_inside

FILES = (
    "file", "filename", "file_name", "path", "filepath", "wav", "wav_file", "audio", "audio_file", "recording", "recording_id", "clip", "uri", "source",
)  # fmt: skip
MAX_NAMES = 1 << 17  # recordings that a file speaks of
ALIKE = 64  # names with the same last part that are told apart
MAX_PATH = 4096  # characters of a name
KEPT = 4  # files that are held parsed


def track(root: Path, path: str, name: str, label: str, links: tuple[str, ...] = ()) -> Track:
    """The stretches of recording `path` in file `name` below `root`; `label`: of those that have none. Raises BadFileError."""
    shown = escape(name, 60)
    try:
        with open_inside(root, name, links) as stream:
            about = os.fstat(stream.fileno())
        said = _read(root, name, links, (about.st_size, about.st_mtime_ns))
    except BadFileError as error:
        raise BadFileError(f"track_file {shown} {error}") from None
    key = said.key_of(path)
    if key is None:
        raise BadFileError(f"track_file {shown} does not name it")
    rows = said.names[key]
    found = [Stretch(start, end, own or label) for start, end, own in rows]
    if not all(s.label for s in found):
        raise BadFileError(f"track_file {shown} has stretches of it without a label; say what they are in stretch_label")
    return Track(
        tuple(sorted((s for s in found if s.end > s.start), key=lambda s: (s.start, s.end, s.label))),
        sum(s.end <= s.start for s in found), 0, in_dates=said.in_dates,
    )  # fmt: skip


Row = tuple[float, float, str]


def _parts(name: str) -> list[str]:
    """The folders and the last part of a name, as any machine writes it."""
    return [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..")]


class Said:
    """What a file says: name of a recording -> (start, end, label or "") of each stretch. `in_dates`: times are seconds from 1970."""

    def __init__(self) -> None:
        self.names: dict[str, list[Row]] = {}
        self.in_dates = False
        self.keys: set[str] = set()  # under which pairs of times without a label of their own lie
        self._count = 0
        self._leaves: dict[str, list[str]] = {}  # the last part of a name -> the names that have it

    def speak(self, name: str) -> list[Row]:
        """The stretches of a recording. Raises BadFileError for too many."""
        if len(self.names) >= MAX_NAMES and name not in self.names:
            raise BadFileError(f"speaks of more than {MAX_NAMES} recordings")
        if len(name) > MAX_PATH or unseen(name):
            raise BadFileError(f"names a recording {escape(name, 40)}, and no file is called so")
        if name not in self.names and (parts := _parts(name)):
            alike = self._leaves.setdefault(parts[-1], [])
            if len(alike) < ALIKE:
                alike.append(name)
        return self.names.setdefault(name, [])

    def key_of(self, path: str) -> str | None:
        """The name that means a recording, or None: the one that shares the most of the path's end, with or without suffix."""
        whole = path.split("/")
        leaf = whole[-1]
        if path in self.names or stem(path) in self.names:
            return path if path in self.names else stem(path)
        best: tuple[int, str] | None = None
        for name in (*self._leaves.get(leaf, ()), *self._leaves.get(stem(leaf), ())):
            parts = _parts(name)
            shared = 1
            while shared < min(len(parts), len(whole)) and parts[-shared - 1] == whole[-shared - 1]:
                shared += 1
            if best is None or shared > best[0]:
                best = shared, name
        return best[1] if best else None

    def add(self, name: str, times: tuple[Any, Any], label: str, place: str) -> None:
        """One stretch. Raises BadFileError."""
        self._count += 1
        if self._count > MAX_RECORDS:
            raise BadFileError(f"has more than {MAX_RECORDS} stretches")
        start, end = (self._time(value, place) for value in times)
        if not start <= end:
            raise BadFileError(f"{place} goes from {start:g} s to {end:g} s")
        self.speak(name).append((start, end, clean(label, "label")))

    def _time(self, value: Any, place: str) -> float:
        if isinstance(value, str) and any(mark in value for mark in "-/T") and (found := seconds(value, "iso")) is not None:
            self.in_dates = True
            return found
        if self.in_dates:
            raise BadFileError(f"{place}: {plain(str(value), 40)} is no date, while others are")
        return seconds_of(value, place)


@lru_cache(maxsize=KEPT)
def _read(root: Path, name: str, links: tuple[str, ...], stamp: tuple[int, int]) -> Said:
    with open_inside(root, name, links) as stream:
        data = stream.read(MAX_TRACK + 1)
    return parse(name, data)


def parse(name: str, data: bytes) -> Said:
    """What a file of this name and content says. Raises BadFileError."""
    if len(data) > MAX_TRACK:
        raise BadFileError(f"has more than {MAX_TRACK} bytes")
    said = Said()
    try:
        text = data.decode("utf-8-sig")
        if name.lower().endswith(".json"):
            _document(json.loads(text), said)
        else:
            _table(text, said)
    except UnicodeDecodeError:
        raise BadFileError("is not UTF-8 text; export it again") from None
    except csv.Error as error:
        raise BadFileError(f"is no table ({plain(str(error), 80)})") from None
    except (ValueError, RecursionError):
        raise BadFileError("is no JSON") from None
    if not said.names:
        raise BadFileError("names no recording with stretches; it needs file, start, end and label of each")
    return said


def _table(text: str, said: Said) -> None:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter), 2):
        cells = {str(k).strip().lower().replace(" ", "_"): v.strip() if isinstance(v, str) else v for k, v in row.items()}
        name = value_of(cells, FILES)
        if name is None:
            raise BadFileError(f"line {number} names no recording; a column is called {', '.join(FILES[:4])} or so")
        _row(str(name), cells, f"line {number}", said)


def _row(name: str, row: Mapping[str, Any], place: str, said: Said) -> None:
    """A row or object that is a stretch."""
    start, end, length = value_of(row, START), value_of(row, END), value_of(row, LENGTH)
    if start is None or (end is None and length is None):
        raise BadFileError(f"{place} has no start, and end or duration; it has {plain(', '.join(map(str, row)), 80)}")
    if end is None:
        end = seconds_of(start, place) + seconds_of(length, place)
    label = value_of({k: v for k, v in row.items() if k not in FILES}, LABEL)
    said.add(name, (start, end), "" if label is None else str(label), place)


def _document(found: Any, said: Said) -> None:
    if isinstance(found, dict):
        inner = next((found[key] for key in LISTS if isinstance(found.get(key), list)), None)
        if inner is not None and all(isinstance(row, dict) for row in inner):
            found = inner
    if isinstance(found, list):
        for number, row in enumerate(found, 1):
            if not isinstance(row, dict):
                raise BadFileError(f"entry {number} is no object that names a recording")
            row = {str(k).strip().lower(): v for k, v in row.items()}
            name = value_of(row, FILES)
            if not isinstance(name, str):
                raise BadFileError(f"entry {number} names no recording; a key is called {', '.join(FILES[:4])} or so")
            _entry(name, row, f"entry {number}", said)
    elif isinstance(found, dict):
        for name, value in found.items():
            _entry(str(name), value, plain(str(name), 40), said)


def _entry(name: str, value: Any, place: str, said: Said) -> None:
    """What lies under a recording's name: pairs, objects that are stretches, or lists of these under keys."""
    if isinstance(value, dict) and value_of({str(k).lower(): v for k, v in value.items()}, START) is not None:
        _row(name, {str(k).strip().lower(): v for k, v in value.items()}, place, said)
        return
    lists = {str(k): v for k, v in value.items() if isinstance(v, list)} if isinstance(value, dict) else {"": value}
    spans = {k: v for k, v in lists.items() if isinstance(v, list) and all(map(_is_span, v)) and (v or k in ("", *LISTS))}
    for key, items in spans.items():
        said.speak(name)
        own = key if len(spans) > 1 else ""
        for item in items:
            if isinstance(item, dict):
                _row(name, {str(k).strip().lower(): v for k, v in item.items()}, place, said)
            else:
                said.keys.add(key)
                said.add(name, (item[0], item[1]), str(item[2]) if len(item) > 2 else own, place)


def _is_span(item: Any) -> bool:
    """Whether it is an object with a start, or two times (and a label)."""
    if isinstance(item, dict):
        return value_of({str(k).strip().lower(): v for k, v in item.items()}, START) is not None
    return (
        isinstance(item, list)
        and len(item) in (2, 3)
        and all(isinstance(v, int | float | str) and not isinstance(v, bool) for v in item)
    )


def labels_of(rows: Mapping[str, list[Row]]) -> Iterator[tuple[str, float]]:
    """(label or "", seconds) of every stretch."""
    for own in rows.values():
        yield from ((label, end - start) for start, end, label in own)
