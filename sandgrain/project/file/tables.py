"""A look into files that hold many recordings: which columns or keys are what. Each gives fields of `look.Look`."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset.dialect import COMMENTS, Dialect, cells, find, is_value
from sandgrain.dataset.labels import usual_columns
from sandgrain.dataset.names import PACKED, stem
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.rows import RowOptions
from sandgrain.dataset.unpack import unpacked
from sandgrain.project.file import clocks
from sandgrain.project.file.column import Column, as_float
from sandgrain.project.file.columns import OTHER_LABEL, judge
from sandgrain.project.file.missing import SAID, stands_for_missing, without
from sandgrain.project.file.naming import naming, speaking
from sandgrain.project.file.people import GROUP
from sandgrain.project.file.ready import rows_are_samples
from sandgrain.project.file.scale import from_readings
from sandgrain.project.file.sides import sides

MAX_HEAD = 1 << 20  # bytes of a table that are looked at
PIECES, PIECE = 48, 1 << 14  # of what follows: so many pieces of so many bytes
PIECE_ROWS = 200  # of a piece
LABELS_HEAD = 1 << 14  # bytes that show whether a table lists files
MAX_PACKED = 1 << 24  # bytes of an unpacked table that are looked at
MAX_FILES = 20
MIN_GROUPS = 3  # files named after subjects, of a split by them
LEAST_ROWS, MOST_ROWS = 4, 0.9  # rows of a table, and their share of its lines, where its suffix does not say that it is one
MAX_ROWS = 20_000  # of all tables together


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Glance:
    """A look into one table: how it is written, and its rows. `blocks`: rows between empty lines, 0 where they differ."""

    form: Dialect
    stretches: tuple[list[list[str]], ...]
    blocks: frozenset[int]


def glance(path: Path, rows: int = MAX_ROWS) -> Glance:
    """The first rows of a CSV file, and some from all over it where it is long. Raises BadFileError or OSError."""
    with _opened(path) as stream:
        head = stream.read(MAX_HEAD)
        form = find(head, len(head) < MAX_HEAD)
        text = head.decode(form.encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        if len(head) == MAX_HEAD:
            lines.pop()
        first = lines[form.first - 1 : form.first - 1 + rows]
        later: list[list[str]] = []
        if not form.encoding.startswith("utf-16"):
            size = stream.seek(0, os.SEEK_END)
            begin = len("\n".join(first).encode(form.encoding, "replace"))
            for at in _places(begin, size, len(first) >= rows or len(head) == MAX_HEAD):
                stream.seek(at)
                later.append(stream.read(PIECE).decode(form.encoding, "replace").splitlines()[1 : PIECE_ROWS + 1])
                if at + PIECE < size:
                    later[-1] = later[-1][:-1]
    stretches = tuple(list(_rows(part, form)) for part in (first, *later) if part)
    whole = len(first) == len(lines) - form.first + 1 and len(head) < MAX_HEAD
    return Glance(form, stretches, frozenset(_between_empty_lines(first, whole)))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A table's bytes; of a packed one the first MAX_PACKED, in memory, for it can be read from its beginning only."""
    with path.open("rb") as stream:
        if path.suffix.lower() != PACKED:
            yield stream
        else:
            yield io.BytesIO(unpacked(stream, path.name)[0].read(MAX_PACKED))


def _places(begin: int, size: int, is_long: bool) -> list[int]:
    """Where pieces of a long table are looked at, from what was read at its beginning to its end."""
    last = size - PIECE
    if not is_long or last <= begin:
        return []
    count = min(PIECES, (size - begin) // PIECE)
    return sorted({begin + (last - begin) * k // max(1, count - 1) for k in range(count)} | {last})


def _rows(lines: Sequence[str], form: Dialect) -> Iterator[list[str]]:
    """The rows of values, those of another width left out."""
    width = len(form.names)
    for number, line in enumerate(lines, form.first):
        if not line.strip() or line.lstrip().startswith(COMMENTS):
            continue
        try:
            found = cells(line, form.delimiter, number)
        except BadFileError:
            continue
        if len(found) >= width and not any(found[width:]):
            yield found[:width]


def is_labels(path: Path) -> bool:
    """Whether a table lists files and their labels."""
    try:
        with path.open("rb") as stream:
            head = stream.read(LABELS_HEAD)
        names = find(head, len(head) < LABELS_HEAD).names
    except (OSError, BadFileError):
        return False
    return usual_columns(names).keys() >= {"file", "label"}


STARTS = frozenset(("start", "begin", "offset", "first", "start_sample", "start_row", "onset"))
ENDS = frozenset(
    ("samples", "length", "count", "duration", "rows", "n", "end", "stop", "last", "end_sample", "end_row", "offset_end")
)


def is_list_of_stretches(path: Path) -> bool:
    """Whether a table says where stretches of a longer recording begin and end, a row each, and holds no signal itself.

    start,samples,label    each start is the one before and its samples, or start and end enclose a stretch behind the last
    """
    try:
        seen = glance(path, 200)
    except (OSError, BadFileError):
        return False
    names = [name.strip().lower().replace(" ", "_") for name in seen.form.names]
    start = next((k for k, name in enumerate(names) if name in STARTS), -1)
    end = next((k for k, name in enumerate(names) if name in ENDS), -1)
    rows = seen.stretches[0] if seen.stretches else []
    if start < 0 or end < 0 or len(rows) < 2:
        return False
    pairs = np.array([[as_float(row[k], seen.form.decimal) for k in (start, end)] for row in rows], np.float64)
    if not np.isfinite(pairs).all():
        return False
    begins, others = pairs[:, 0], pairs[:, 1]
    follows = np.isclose(begins[1:], begins[:-1] + others[:-1])
    encloses = (others > begins).all() and bool((begins[1:] >= others[:-1]).mean() > MOST_ROWS)
    return bool((np.diff(begins) > 0).mean() > MOST_ROWS and (follows.mean() > MOST_ROWS or encloses))


def is_table(path: Path) -> bool:
    """Whether a file without a telling suffix is a table beyond doubt: rows of as many cells, numbers or times in all of them."""
    try:
        with path.open("rb") as stream:
            head = stream.read(LABELS_HEAD)
        form = find(head, len(head) < LABELS_HEAD)
        lines = head.decode(form.encoding, "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        body = [line for line in lines[form.first - 1 : -1 if len(head) == LABELS_HEAD else None] if line.strip()]
        rows = list(_rows(body, form))
    except (OSError, BadFileError):
        return False
    good = [row for row in rows if any(is_value(cell, form.decimal) for cell in row)]
    return len(good) >= LEAST_ROWS and len(good) >= MOST_ROWS * len(body) and form.first - 1 <= len(body)


def looked_into(base: Path, names: Sequence[str], read: Callable[[Path], T]) -> tuple[dict[str, T], list[str]]:
    """(what `read` made of each file, by its name; why it could not, a line a file)."""
    seen: dict[str, T] = {}
    bad: list[str] = []
    for name in names:
        try:
            seen[name] = read(base / name)
        except (BadFileError, OSError) as error:
            bad.append(f"{plain(name, 80)}: {plain(str(error), 260)}")
    return seen, bad


def look_table(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """CSV files; those that have the columns of most of them tell what the columns are. Raises UsageError."""
    some = spread(names, MAX_FILES)
    seen, bad = looked_into(base, some, lambda path: glance(path, max(200, MAX_ROWS // len(some))))
    names_alike, notes = alike_of({name: g.form.names for name, g in seen.items()}, bad, len(some))
    alike = [seen[name] for name in names_alike]
    usual = alike[0].form.names
    notes += list(dict.fromkeys(note for g in alike for note in g.form.notes))
    form = alike[0].form
    whole = [s for g in alike for s in g.stretches]
    units = form.units or ("",) * len(usual)
    columns = [Column(name, [[row[k] for row in s] for s in whole], form.decimal, units[k]) for k, name in enumerate(usual)]
    lengths = {n for g in alike for n in g.blocks}
    found = described(names, columns, segment=lengths.pop() if len(lengths) == 1 else 0, notes=notes)
    if said := _counted_anew({n: seen[n] for n in names_alike}, dict(found["table"]).get("group_column", "")):
        found["notes"] = (*found["notes"], said)
    return found | clocks.of_files({n: seen[n] for n in names_alike}, found)


def _counted_anew(seen: Mapping[str, Glance], column: str) -> str:
    """A note where groups are numbers, and the same ones are in several files: they may be others, counted anew; "" where they are not."""
    if not column or len(seen) < 2:
        return ""
    of = [{row[g.form.names.index(column)] for s in g.stretches for row in s} - {""} for g in seen.values()]
    in_files = Counter(value for values in of for value in values)
    again = [value for value, count in in_files.items() if count > 1]
    if not again or not all(value.isdecimal() for value in in_files):
        return ""
    return (
        f"{len(again)} of {len(in_files)} numbers in {plain(column, 40)} are in several files, and taken for the same; where each file "
        "counts anew, groups are kept together that need not be: number them through (group_column)"
    )


def alike_of(titles: Mapping[str, tuple[str, ...]], bad: Sequence[str], asked: int) -> tuple[list[str], list[str]]:
    """The files that have the columns of most of them, and a note on the others. Raises UsageError where none could be read."""
    if not titles:
        raise UsageError(f"{bad[0]}; mend it, or write [data] by hand")
    usual = Counter(titles.values()).most_common(1)[0][0]
    alike = [name for name, own in titles.items() if own == usual]
    notes = [f"{len(bad)} of {asked} files cannot be read, the first is {bad[0]}"] if bad else []
    if len(alike) < len(titles):
        other = next(name for name, own in titles.items() if own != usual)
        notes.append(
            f"{len(titles) - len(alike)} of {len(titles)} files have other columns (such as {plain(other, 80)}), and will be bad; see files"
        )
    return alike, notes


def described(names: Sequence[str], columns: Sequence[Column], *, segment: int = 0, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Fields of `look.Look` from judged columns: channels, roles, rate, full scale, labels. Raises UsageError."""
    if not columns or len(columns[0].cells) < 2:
        raise UsageError(f"{plain(names[0])} has no rows of numbers; name the file with the recordings")
    notes, gone = [*notes], stands_for_missing(columns)
    if gone is not None:
        columns = without(columns, gone)
        notes.append(SAID.format(gone))
    judged = judge(columns)
    channels, notes = judged.of("channel"), [*notes, *judged.doubts]
    if not channels:
        why = "; ".join(v.text for v in list(judged.verdicts.values())[:6])
        raise UsageError(f"{plain(names[0])} has no column of numbers ({plain(why, 300)}); name the file with the recordings")
    by_name = {c.name: c for c in columns}
    table: list[tuple[str, Any]] = [("columns", channels)]
    for role, key in (("label", "label_column"), ("group", "group_column"), ("number", "target_column")):
        table += [(key, name) for name in judged.of(role)]  # type: ignore[arg-type]
    clock, rate = judged.clock, 0.0
    if clock is not None:
        rate = clock.rate
        if clock.usable:
            table.append(("time_column", clock.columns if len(clock.columns) > 1 else clock.columns[0]))
            table.append(("time_unit", clock.unit))
        if clock.usable and not clock.even:
            notes.append("times are not even: resample = true puts the rows on a grid of `rate`, and reports gaps")
    if (
        clock is None
        and not segment
        and judged.of("label")
        and (why := rows_are_samples([by_name[c] for c in channels], by_name[judged.of("label")[0]]))
    ):
        segment, rate = 1, 1.0
        notes.append(
            f"each row is taken for a sample of its own, {why}; segment = 0 takes rows that follow each other for recordings (segment)"
        )
    if segment:
        table.append(("segment", segment))
    if judged.bad_share > RowOptions().bad_rows:
        table.append(("bad_rows", round(min(1.0, 2 * judged.bad_share), 2)))
    if not all(((v := by_name[c].flat) == np.rint(v)).all() and (np.abs(v) < 32768).all() for c in channels):
        scale, strays = from_readings([by_name[c] for c in channels])
        table.append(("full_scale", scale))
        notes += strays
    if gone is not None:
        table.append(("missing", (gone,)))
    if judged.of("label"):
        named: dict[str, Any] = {"labels": tuple(sorted(set(by_name[judged.of("label")[0]].filled)))}
        if not judged.of("group") and (whose := persons(names)):
            note = f"groups: each of {len(names)} files is one (such as {plain(whose[0], 20)}), by their names; else take {{group}} out of name"
            named |= {"name": "{group}", "groups": len(names)}
            notes.append(note)
        else:
            named |= sides(names)
    elif judged.of("number"):
        named = sides(names) or apart(names)
    else:
        named = of_files(names)
    notes += named.pop("notes", ())
    groups = {"groups": by_name[judged.of("group")[0]].distinct} if judged.of("group") else {}
    return {
        "kind": "motion",
        "rate": rate,
        "table": tuple(table),
        "notes": tuple(notes),
        "columns": tuple(judged.verdicts.values()),
        "rivals": (*judged.of("label"), *(v.column for v in judged.verdicts.values() if v.why.startswith(OTHER_LABEL))),
        "resample": bool(clock and clock.usable and not clock.even),
        **named,
        **groups,
    }


def persons(names: Sequence[str]) -> tuple[str, ...]:
    """The names of files without their suffix, where each says that it is a subject's, a machine's or a session's: S01, user_7."""
    stems = tuple(map(stem, names))
    return stems if len(stems) >= MIN_GROUPS and all(GROUP.fullmatch(s) for s in stems) else ()


def apart(names: Sequence[str]) -> dict[str, Any]:
    """Names of files with numbers to give: they are no labels; each file is a group, for its rows resemble one another."""
    if len(names) < MIN_GROUPS or any("/" in n for n in names):
        return {}
    return {"name": "{group}", "groups": len(names)}


def of_files(names: Sequence[str]) -> dict[str, Any]:
    """What the names of tables without a label column say."""
    if any("/" in n for n in names):
        return naming(names)
    stems = tuple(map(stem, names))
    found = speaking(stems) or ({"name": "{label}", "labels": stems} if len(names) <= MAX_FILES else {})
    if len(found.get("labels", ())) == len(names) > 1:
        some = ", ".join(plain(label, 20) for label in found["labels"][:3])
        said = f"each file is taken for a label of its own, by its name ({some}); where they are no labels, give them by label_column, labels or a file beside each (name)"
        return {**found, "notes": (*found.get("notes", ()), said)}
    return found


def spread(names: Sequence[T], most: int) -> list[T]:
    """`most` of the names, from all over the list."""
    return [names[k] for k in sorted({int(k) for k in np.linspace(0, len(names) - 1, min(most, len(names)))})]


def _between_empty_lines(lines: Sequence[str], whole: bool) -> set[int]:
    """Rows of each block, where empty lines cut a file into blocks; nothing where there is one block."""
    ends = [k for k, line in enumerate(lines) if not line.strip()]
    lengths = [b - a - 1 for a, b in zip([-1, *ends], [*ends, len(lines)] if whole else ends, strict=False)]
    found = {n for n in lengths if n}
    return found if len(lengths) - lengths.count(0) > 1 else set()
