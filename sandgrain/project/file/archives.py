"""What the arrays of an .npz are: samples, labels, groups, offsets, events, the time; by their shapes and values, names are hints."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sandgrain.base.arrays import Array, as_float64, channels_of
from sandgrain.base.errors import UsageError
from sandgrain.base.npy import READ_ERRORS, Header, open_member, read_body, read_header
from sandgrain.base.text import plain
from sandgrain.dataset.npz_arrays import NAMES_OF_LABELS
from sandgrain.dataset.readers.base import MAX_CHANNELS
from sandgrain.dataset.readers.npz import RATES
from sandgrain.project.file import target
from sandgrain.project.file.column import GROUP_WORDS, LABEL_WORDS, TIME_WORDS, Column

ARRAYS = 64  # that are looked at
BYTES = 1 << 22  # of an array that are read; of one that says where things are all of it, up to ALL
ALL = 1 << 24
FEW = 50  # values of a label
CHANNELS = 16  # of an array of recordings with the channels before the samples, at most
LOOKED = 20_000  # numbers of an array that may be what a model is to give
SAID = 3  # events or pieces, at least
RHYTHM = 16  # events, at least, of which can be said that they come evenly


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """The arrays of a file. `head`: of the samples, `x` their names; `values`: the first of them, [n, ...], channels behind.

    `y`, `group`, `offset`, `event`, `time`: names, "" where there is none. `labels`: the values of `y`; `step`: rows from event to event; `rhythm`: they follow each other evenly,
    as beats and steps do.
    """

    x: tuple[str, ...]
    head: Header
    values: Array
    y: str = ""
    group: str = ""
    offset: str = ""
    event: str = ""
    time: str = ""
    labels: Array | None = None
    groups: Array | None = None
    names: tuple[str, ...] = ()  # of the numbers in `y`
    step: float = 0.0
    rate: float = 0.0
    target: str = ""  # the array that is the number to give, and
    targets: tuple[str, ...] = ()  # others that may be it as well, or all where there are labels
    rhythm: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether the samples are called as the reader expects."""
        return self.x == ("x",)


@dataclass(slots=True)
class _Archive:
    """An open file: the headers of its arrays, and a first part of any of them."""

    archive: zipfile.ZipFile
    heads: dict[str, Header] = field(default_factory=dict)

    def start(self) -> None:
        for info in self.archive.infolist()[:ARRAYS]:
            name = info.filename.removesuffix(".npy")
            try:
                with open_member(self.archive, info) as stream:
                    self.heads[name] = read_header(stream, info)
            except READ_ERRORS:
                if name == "x":
                    raise
        self.heads = {n: h for n, h in self.heads.items() if h.size}

    def read(self, name: str, most: int = BYTES) -> Array:
        """As many of the first rows as `most` bytes hold. Raises one of READ_ERRORS."""
        info, head = self.archive.getinfo(f"{name}.npy"), self.heads[name]
        rows = max(1, most // max(1, head.size // max(1, head.shape[0]))) if head.shape else None
        if head.fortran and head.size > most:
            return np.zeros((0, *head.shape[1:]), head.dtype)
        with open_member(self.archive, info) as stream:
            return read_body(stream, info, read_header(stream, info).first(rows))


def roles(path: Path) -> Roles:
    """What the arrays of a file are. Raises UsageError where none holds samples."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = _Archive(archive)
            inside.start()
            return _judged(inside, path.name)
    except (*READ_ERRORS, KeyError) as error:
        fact = plain(str(error) or type(error).__name__, 100)
        raise UsageError(f"{plain(path.name)} holds no array x ({fact}); save x [n, ...] and y [n]") from None


def _judged(inside: _Archive, name: str) -> Roles:
    heads = inside.heads
    numbers = {n: h for n, h in heads.items() if h.dtype.kind in "iuf" and h.shape and h.size > h.dtype.itemsize}
    if not numbers:
        some = ", ".join(heads) or "there is none"
        raise UsageError(f"{plain(name)} holds no array of numbers ({plain(some, 100)}); save x [n, ...] and y [n]")
    flat = {n: inside.read(n, ALL).reshape(-1) for n, h in heads.items() if len(h.shape) == 1 and h.size <= ALL}
    main = "x" if "x" in numbers else _largest(numbers, flat)
    head = numbers[main]
    rows = head.shape[0]
    flat.pop(main, None)
    alike = (
        [n for n, h in numbers.items() if h.shape == head.shape and h.dtype.kind == head.dtype.kind] if main != "x" else [main]
    )
    time = next((n for n in flat if len(flat[n]) == rows and _is_time(n, flat[n])), "")
    y = _label({n: v for n, v in flat.items() if n != time}, rows)
    x = [n for n in alike if n not in (time, y, *NAMES_OF_LABELS)] or [main]
    x = x if len(head.shape) <= 2 and len(x) <= MAX_CHANNELS else [main]
    rest = {n: v for n, v in flat.items() if n not in (*x, time, y)}
    offset = next((n for n, v in rest.items() if _are_offsets(v, rows)), "")
    event = "" if offset else next((n for n, v in rest.items() if _are_events(v, rows)), "") if len(head.shape) <= 2 else ""
    count = len(flat[event]) if event else len(flat[offset]) - (int(flat[offset][-1]) == rows) if offset else rows
    if not y and count != rows:
        y = _label({n: v for n, v in rest.items() if n not in (event, offset)}, count)
    group = _group({n: v for n, v in rest.items() if n not in (event, offset, y)}, len(flat[y]) if y else count)
    numbers_to_give = _targets({n: v for n, v in rest.items() if n not in (event, offset, y, group)}, {rows, count})
    parts = [inside.read(n) for n in x]
    least = min(map(len, parts))
    values = parts[0] if len(parts) == 1 else channels_of([p[:least] for p in parts])
    return Roles(
        tuple(x), head, values, y, group, offset, event, time, flat.get(y), flat.get(group), _names(inside, y),
        float(np.median(np.diff(as_float64(flat[event])))) if event else 0.0, _rate(inside, flat.get(time)),
        "" if y or not numbers_to_give else numbers_to_give[0], numbers_to_give[0 if y else 1 :],
        bool(event) and _is_rhythm(flat[event]),
    )  # fmt: skip


def _targets(flat: Mapping[str, Array], counts: set[int]) -> tuple[str, ...]:
    """The arrays that may be the number to give, those whose name says so first: floats, one value for each of `counts`, many of them
    different."""
    columns = {
        k: Column(name, [[repr(float(v)) for v in values[:LOOKED]]])
        for k, (name, values) in enumerate(flat.items())
        if len(values) in counts and values.dtype.kind == "f"
    }
    return tuple(columns[k].name for k in target.of_files(columns))


def _largest(numbers: Mapping[str, Header], flat: Mapping[str, Array]) -> str:
    """The array with the most values, which is no time of others."""
    several = {n for n in numbers if sum(h.shape[0] == numbers[n].shape[0] for h in numbers.values()) > 1}
    clocks = {n for n in several if n in flat and _says(n, TIME_WORDS) and _is_time(n, flat[n])}
    return max(
        numbers.keys() - clocks or numbers.keys(),
        key=lambda n: (numbers[n].size // numbers[n].dtype.itemsize, -[*numbers].index(n)),
    )


def _words(name: str) -> list[str]:
    return [w for w in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if w]


def _says(name: str, words: str) -> bool:
    return bool(set(words.split()) & {*_words(name), name.lower()})


def _is_whole(values: Array) -> bool:
    return values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool((values == np.rint(values)).all()))


def _label(flat: Mapping[str, Array], count: int) -> str:
    """The array with an entry for each of `count`, of few values: one whose name says so, else the first."""
    fit = {n: v for n, v in flat.items() if len(v) == count > 1 and (v.dtype.kind in "US" or _is_whole(v))}
    few = [n for n, v in fit.items() if len(np.unique(v)) <= min(FEW, max(2, count // 2)) and not _says(n, GROUP_WORDS)]
    named = [n for n in few if n == "y"] + [n for n in few if _says(n, LABEL_WORDS)]
    return next(iter([*named, *few]), "")


def _group(flat: Mapping[str, Array], count: int) -> str:
    fit = {n: v for n, v in flat.items() if len(v) == count > 1 and (v.dtype.kind in "US" or _is_whole(v))}
    return next((n for n, v in fit.items() if _says(n, GROUP_WORDS) and len(np.unique(v)) > 1), "")


def _is_time(name: str, values: Array) -> bool:
    if values.dtype.kind not in "iuf" or len(values) < 3 or not (_says(name, TIME_WORDS) or len(values) > FEW):
        return False
    steps = np.diff(as_float64(values))
    return bool((steps > 0).all()) and float((np.abs(steps / np.median(steps) - 1) < 0.2).mean()) > 0.9


def _are_offsets(values: Array, rows: int) -> bool:
    """Rows at which pieces begin: from 0 on, and to the end, or so far that the last piece is no longer than the others."""
    if values.dtype.kind not in "iu" or not SAID <= len(values) < rows / 2 or values[0] != 0:
        return False
    steps = np.diff(values.astype(np.int64))
    return bool((steps > 0).all()) and (int(values[-1]) == rows or 0 < rows - int(values[-1]) <= 2 * int(steps.max()) > 2)


def _are_events(values: Array, rows: int) -> bool:
    if values.dtype.kind not in "iu" or not SAID <= len(values) < rows / 2:
        return False
    steps = np.diff(values.astype(np.int64))
    return (
        bool((steps > 0).all()) and bool((steps > 1).mean() > 0.5) and rows // 2 < int(values[-1]) < rows and int(values[0]) >= 0
    )


def _is_rhythm(events: Array) -> bool:
    """Whether the events follow each other evenly: half of the distances lie within half of their median."""
    if len(events) < RHYTHM:
        return False
    low, usual, high = np.quantile(np.diff(as_float64(events)), [0.25, 0.5, 0.75])
    return bool(high - low <= usual / 2)


def _names(inside: _Archive, y: str) -> tuple[str, ...]:
    name = next((n for n in NAMES_OF_LABELS if n != y and n in inside.heads and inside.heads[n].dtype.kind in "US"), "")
    return tuple(map(str, inside.read(name).reshape(-1).tolist())) if y and name else ()


def _rate(inside: _Archive, time: Array | None) -> float:
    """Hz: as an array of one number says, or as the times are apart, where they are in seconds."""
    named = [n for n in RATES if n in inside.heads and inside.heads[n].size == inside.heads[n].dtype.itemsize]
    if value := next((v for n in named if (v := float(inside.read(n).reshape(-1)[0])) > 0), 0.0):
        return value
    if time is not None and time.dtype.kind == "f":
        return float(f"{1 / float(np.median(np.diff(as_float64(time)))):.3g}")
    return 0.0


def keys(found: Roles, stream: bool) -> tuple[list[tuple[str, object]], list[str]]:
    """The keys of [data] that the arrays' names need, and a sentence about each."""
    made: list[tuple[str, object]] = []
    said: list[str] = []
    if not found.is_usual:
        made.append(("x_array", found.x if len(found.x) > 1 else found.x[0]))
        shape = list(found.head.shape)
        many = (
            f"{', '.join(found.x[:6])} are {shape} each: the channels"
            if len(found.x) > 1
            else f"{found.x[0]} is {shape}: the samples"
        )
        said.append(f"{plain(many, 120)}, for no array is larger (x_array)")
    if found.y and found.y != "y":
        made.append(("y_array", found.y))
        said.append(f"{plain(found.y, 30)} is the labels, for it has one {_each(found)}, and few values (y_array)")
    if found.target:
        made.append(("target_array", found.target))
        named = "for its name, and it" if target.says_so(found.target) else "for it"
        more = f"; {plain(', '.join(found.targets[:4]), 80)} may be it as well" if found.targets else ""
        said.append(
            f"{plain(found.target, 30)} is the number to give, {named} has many different values, too many for classes{more} (target_array)"
        )
    if found.group and found.group != "group":
        made.append(("group_array", found.group))
        said.append(f"{plain(found.group, 30)} is the groups, for its name (group_array)")
    by_row = found.labels is not None and len(found.labels) == found.head.shape[0]
    if stream and found.offset and by_row:
        said.append(
            f"{plain(found.offset, 30)} says where pieces begin, and is not used, for each row has a label (offset_array)"
        )
    elif stream and found.offset:
        made.append(("offset_array", found.offset))
        said.append(f"{plain(found.offset, 30)} says where recordings begin: rows from 0 on, growing (offset_array)")
    if stream and found.event:
        made.append(("event_array", found.event))
        said.append(
            f"{plain(found.event, 30)} says where something happens: rows, {found.step:.3g} apart as a rule; each gives a recording of event_s, "
            "which lies around it (event_array)"
        )
    if found.time:
        said.append(f"{plain(found.time, 30)} is the time, and is left out")
    return made, said


def _each(found: Roles) -> str:
    count = 0 if found.labels is None else len(found.labels)
    return "for each event" if found.event else "a row" if count == found.head.shape[0] else "a piece"


def channels_first(shape: Sequence[int]) -> bool:
    """Whether [n, channels, samples] is likelier than [n, samples, channels]."""
    return len(shape) == 3 and shape[1] <= CHANNELS and shape[2] >= 4 * shape[1]
