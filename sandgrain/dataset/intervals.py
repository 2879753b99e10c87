"""Which stretches of a long recording have which label: label tracks, tables and documents that lie beside it.

`walk.wav` may have `walk.txt` (Audacity: start, end and label between tabs), `walk.csv` or `walk.labels.csv` (a header that names
start, end or duration, and label), `walk.json` (a list of objects with the same names, or an object that holds one) or `walk.eaf`
(ELAN). Times are seconds; ELAN's are milliseconds by its format. What is read is bounded, and nothing is followed outside the file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset import tracks
from sandgrain.dataset.names import clean
from sandgrain.dataset.readers.base import MAX_RECORDS, BadFileError
from sandgrain.dataset.tracks import MAX_TRACK, Stretch, Track
from sandgrain.dataset.walk import open_inside

START = ("start", "begin", "from", "onset", "start_s", "start_time", "begin_time", "starttime", "t0", "start (s)")
END = ("end", "stop", "to", "offset", "end_s", "end_time", "endtime", "stop_time", "t1", "end (s)")
LENGTH = ("duration", "length", "duration_s", "dur")
ROWS = ("samples", "rows", "n_samples", "sample_count", "end_sample", "end_row")  # lengths and ends that count samples
START_ROWS = ("start_sample", "start_row", "first_sample", "offset_samples")
LABEL = (
    "label",
    "class",
    "event_label",
    "event_type",
    "class_name",
    "label_name",
    "category",
    "event",
    "name",
    "annotation",
    "activity",
    "text",
    "tag",
    "value",
)
LISTS = ("labels", "intervals", "events", "annotations", "segments")  # keys of an object that holds the list
SUFFIXES = (
    ".labels.csv",
    ".labels.json",
    ".labels.txt",
    ".eaf",
    ".txt",
    ".csv",
    ".json",
)  # tried beside a recording, in this order


def beside(recording: Path) -> Path | None:
    """The file with the labels of a recording, or None."""
    for suffix in SUFFIXES:
        path = recording.with_name(recording.stem + suffix)
        if path != recording and path.is_file():
            return path
    return None


def read(path: Path) -> tuple[Stretch, ...]:
    """The stretches of a file, by their start. Raises UsageError with the file's name and what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRACK + 1)
        if len(data) > MAX_TRACK:
            raise BadFileError(f"has more than {MAX_TRACK} bytes")
        found = tuple(_parsed(path.suffix.lower(), data))
    except OSError as error:
        raise UsageError(f"{plain(path.name, 120)} cannot be read ({type(error).__name__})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{plain(path.name, 120)} is not UTF-8 text; export it again") from None
    except BadFileError as error:
        raise UsageError(f"{plain(path.name, 120)}: {error}") from None
    if not found:
        raise UsageError(f"{plain(path.name, 120)} labels nothing; it needs start, end and label of each stretch")
    if len(found) > MAX_RECORDS:
        raise UsageError(f"{plain(path.name, 120)} has more than {MAX_RECORDS} stretches")
    return tuple(sorted(found, key=lambda s: (s.start, s.end, s.label)))


def track(root: Path, name: str, links: Sequence[str] = ()) -> Track:
    """The label track of a recording, in file `name` below `root`. Raises BadFileError."""
    shown = posixpath.basename(name)
    try:
        with open_inside(root, name, links) as stream:
            data = stream.read(MAX_TRACK + 1)
    except BadFileError as error:
        raise BadFileError(f"its label track {shown} {error}") from None
    if len(data) > MAX_TRACK:
        raise BadFileError(f"its label track has more than {MAX_TRACK} bytes")
    end = posixpath.splitext(name)[1].lower()
    try:
        if end == ".txt":
            return tracks.parse(data.decode("utf-8-sig"))
        found = sorted(_parsed(end, data), key=lambda s: (s.start, s.end, s.label))
    except UnicodeDecodeError:
        raise BadFileError("its label track is not UTF-8 text; export it again") from None
    except BadFileError as error:
        raise BadFileError(f"its label track {shown}: {error}") from None
    if len(found) > MAX_RECORDS:
        raise BadFileError(f"its label track has more than {MAX_RECORDS} stretches")
    whole = [s for s in found if s.end > s.start and s.label]
    return Track(tuple(whole), sum(s.end <= s.start for s in found), sum(not s.label for s in found), _counts_samples(end, data))


def _counts_samples(suffix: str, data: bytes) -> bool:
    """Whether a table's header says that it counts samples."""
    head = data.decode("utf-8-sig").partition("\n")[0].lower() if suffix == ".csv" else ""
    return bool({cell.strip() for cell in head.replace(";", ",").replace("\t", ",").split(",")} & {*ROWS, *START_ROWS})


def _parsed(suffix: str, data: bytes) -> Sequence[Stretch]:
    if suffix == ".eaf":
        return _elan(data)
    text = data.decode("utf-8-sig")
    if suffix == ".json":
        return list(_document(text))
    if suffix == ".csv":
        return list(_table(text))
    return tracks.parse(text).stretches


def _table(text: str) -> Iterator[Stretch]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        for number, row in enumerate(rows, 2):
            yield _stretch({str(k).strip().lower(): v for k, v in row.items()}, f"line {number}", head)
    except csv.Error as error:
        raise BadFileError(f"is no table ({plain(str(error), 80)})") from None


def _document(text: str) -> Iterator[Stretch]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFileError("is no JSON") from None
    if isinstance(found, dict):
        found = next((found[key] for key in LISTS if isinstance(found.get(key), list)), None)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise BadFileError(f"holds no list of objects; write a list, or an object with one called {' or '.join(LISTS)}")
    for number, row in enumerate(found, 1):
        yield _stretch({str(k).strip().lower(): v for k, v in row.items()}, f"entry {number}", ", ".join(map(str, row)))


def _stretch(row: Mapping[str, Any], place: str, names: str) -> Stretch:
    start, label = value_of(row, (*START_ROWS, *START)), value_of(row, LABEL)
    end, length = value_of(row, ("end_sample", "end_row", *END)), value_of(row, (*ROWS[:4], *LENGTH))
    if start is None or label is None or (end is None and length is None):
        raise BadFileError(f"{place} has no start, end (or duration) and label; it has {plain(names, 80)}")
    first = seconds_of(start, place)
    last = first + seconds_of(length, place) if end is None else seconds_of(end, place)
    if not 0 <= first <= last < math.inf:
        raise BadFileError(f"{place} goes from {first:g} s to {last:g} s")
    return Stretch(first, last, clean(str(label), "label"))


def value_of(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What stands under the first of `names` that says something; None where none does."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def seconds_of(value: Any, place: str) -> float:
    """A number, or hours, minutes and seconds with colons between."""
    try:
        total = 0.0
        for part in str(value).strip().split(":"):
            total = 60 * total + float(part.replace(",", "."))
        if isinstance(value, bool) or not math.isfinite(total):
            raise ValueError
    except ValueError:
        raise BadFileError(f"{place}: {plain(str(value), 40)} is no time in seconds") from None
    return total


def _elan(data: bytes) -> Sequence[Stretch]:
    """Annotations of all tiers that lie on the time line. A document that declares entities is refused: there is no need for one."""
    slots: dict[str, float] = {}
    open_: list[tuple[str, str]] = []  # time slots of the annotation that is being read
    said: list[str] = []
    found: list[Stretch] = []

    def start(name: str, given: dict[str, str]) -> None:
        if name == "TIME_SLOT" and "TIME_VALUE" in given:
            slots[given.get("TIME_SLOT_ID", "")] = seconds_of(given["TIME_VALUE"], "a time slot") / 1000
        elif name == "ALIGNABLE_ANNOTATION":
            open_[:] = [(given.get("TIME_SLOT_REF1", ""), given.get("TIME_SLOT_REF2", ""))]
            said.clear()

    def end(name: str) -> None:
        if name == "ALIGNABLE_ANNOTATION" and open_:
            first, last = (slots.get(slot) for slot in open_.pop())
            text = clean("".join(said).strip(), "label")
            if first is not None and last is not None and text and first < last:
                found.append(Stretch(first, last, text))

    def refuse(*_: Any) -> None:
        raise BadFileError("declares entities; export it from ELAN again")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda text: said.append(text) if open_ else None
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadFileError(f"is no XML ({plain(str(error), 80)})") from None
    return found
