"""A look for an index file: a table with a row a file, whatever its columns are called. `init` says which column is what, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sandgrain.base.text import plain
from sandgrain.dataset.labels import COLUMNS, EXPORTED, Names, read_labels, usual_columns
from sandgrain.dataset.lines import read_lines
from sandgrain.dataset.names import ALIASES, Place
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from sandgrain.project.file import target
from sandgrain.project.file.column import GROUP_WORDS, LABEL_WORDS, NAMES, Column
from sandgrain.project.file.tables import Glance, glance

TABLES = 40  # that are looked into
HEAD = 40  # rows that show whether a column has names of files
THERE = 0.5  # share of its cells that are names of files, of a column that names them
REPEATS = 1.25  # rows for each value of a group, on average
FEW = 20  # values of a label of numbers
COARSE = ("kind", "type", "group")  # of what several labels are
FOLD = 2.0  # a label of text takes at most a value for so many rows
BY_NAME, BY_FOLDER = "its name", "it says the folder's name again"  # why a column is the label
NO_GROUPS = frozenset(("gender", "sex", "age", "date", "time", "licence", "license"))
NO_LABELS = NO_GROUPS | {
    "origin",
    "source",
    "url",
    "author",
    "format",
    "codec",
    "notes",
    "comment",
}  # about a file, not what is in it


@dataclass(frozen=True, slots=True)
class Index:
    """An index file. `keys`: those of `[data]` that it needs, `labels` first; `notes`: what its columns are, and why.

    `columns`: what -> the title of its column. `rivals`: columns that may be the label, the best guess first. `number`: the column that may
    be the number to give, where it is torn between that and a label.
    """

    path: str
    keys: tuple[tuple[str, Any], ...]
    notes: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    rivals: tuple[str, ...] = ()
    number: str = ""


def find_index(base: Path, names: Sequence[str], tables: Sequence[str]) -> Index | None:
    """The first of `tables` with a column whose cells are names of other files that are there, and another that says something
    about them; nothing where there is none."""
    near = sorted((n for n in tables if n.count("/") < 2), key=lambda n: (n.count("/"), n))
    for name in near[:TABLES]:
        places = Names((n for n in names if n != name), name)
        try:
            if _names_files(glance(base / name, HEAD), places) and (found := _judged(name, glance(base / name), places)):
                return found
        except (BadFileError, OSError):
            continue
    info = next((n for n in names if n.rsplit("/", 1)[-1] == f"info{EXPORTED}"), "")
    return Index(info, (("labels", info),)) if info else None


def _names_files(seen: Glance, places: Names) -> bool:
    """Whether one of the columns may have names of files, by the first rows."""
    columns = list(zip(*(row for stretch in seen.stretches for row in stretch), strict=True))
    return any(sum(len(places.find(c)) == 1 for c in cells) >= THERE * len(cells) for cells in columns)


def _judged(name: str, seen: Glance, places: Names) -> Index | None:
    rows = [row for stretch in seen.stretches for row in stretch]
    columns = {k: Column(title, [[row[k] for row in rows]], seen.form.decimal) for k, title in enumerate(seen.form.names)}
    shares = {k: sum(len(places.find(c)) == 1 for c in column.cells) / len(rows) for k, column in columns.items()}
    file = max(shares, key=lambda k: (shares[k], -k))
    if shares[file] < THERE or 2 * columns[file].distinct < len(rows):
        return None
    folders = [(places.find(cell) or ("",))[0].rpartition("/")[0].rpartition("/")[2] for cell in columns[file].cells]
    left = {k: column for k, column in columns.items() if k != file}
    picked = {"file": (file, f"{100 * shares[file]:.0f} % of its cells are names of files that are there")}
    picked |= pick(left, folders)
    index = named_index(name, seen.form.names, picked)
    torn = _torn(left, picked)
    return replace(index, rates=_rates(left), rivals=rivals(index, left), number=torn) if len(picked) > 1 else None


def _torn(left: Mapping[int, Column], picked: Mapping[str, tuple[int, str]]) -> str:
    """The column that may be the number to give although there is a label: one whose name says so, or any where no name says the label."""
    if "label" not in picked:
        return ""
    weak = not picked["label"][1].startswith((BY_NAME, BY_FOLDER))
    return next((left[k].name for k in target.of_files(left) if weak or target.says_so(left[k].name)), "")


def rivals(index: Index, left: Mapping[int, Column]) -> tuple[str, ...]:
    """The label's column and others of `left` that are as likely by their names: of few values, and a word for a label."""
    if "label" not in index.columns:
        return ()
    also = (c.name for c in left.values() if c.hint(LABEL_WORDS) is not None and c.distinct > 1 and _few(c))
    return (index.columns["label"], *also)


def pick(left: dict[int, Column], folders: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Which of the columns say split, label and group, and why; they are taken out of `left`. `folders`: of each row's file."""
    picked: dict[str, tuple[int, str]] = {}
    whole = dict(left)
    for what, choose in (("split", _split), ("label", _label), ("group", _group), ("target", _number)):
        label = whole[picked["label"][0]] if "label" in picked else None
        if found := choose(left, folders, label):
            picked[what] = found
            left.pop(found[0])
    return picked


def _rates(columns: dict[int, Column]) -> tuple[float, ...]:
    """The rates in Hz that a column names, sorted."""
    found = next((c for c in columns.values() if c.share == 1 and "hz" in c.words and (c.flat > 0).all()), None)
    return tuple(sorted({float(v) for v in found.flat})) if found else ()


def named_index(name: str, titles: Sequence[str], picked: dict[str, tuple[int, str]]) -> Index:
    """The index file `name`: the keys for its columns, where they are not called as usual, and why they are what."""
    usual = usual_columns(titles)
    keys: list[tuple[str, Any]] = [("labels", name)]
    said = []
    for what, (k, why) in picked.items():
        if usual.get(what) != k:
            keys.append((f"{what}_column", titles[k].strip()))
        role = "number to give" if what == "target" else what
        said.append(f"{plain(titles[k], 30)} is the {role}, for {why} ({what}_column)")
    lists = [f"{plain(name, 60)} lists the files (labels): {said.pop(0)}"] if "row" not in picked and "file" in picked else []
    notes = (*lists, *(f"of {plain(name, 60)}: {text}" for text in said))
    return Index(name, tuple(keys), notes, {what: titles[k] for what, (k, _) in picked.items()})


Picked = tuple[int, str] | None


def _named(columns: dict[int, Column], words: Sequence[str]) -> list[int]:
    """The columns whose name has one of the words, the first word first."""
    found = [(rank, k) for k, c in columns.items() if (rank := c.hint(" ".join(words))) is not None]
    exact = [(words.index(c.name.strip().lower()), k) for k, c in columns.items() if c.name.strip().lower() in words]
    return list(dict.fromkeys(k for _, k in (*sorted(exact), *sorted(found))))


def _split(columns: dict[int, Column], folders: Sequence[str], label: Column | None) -> Picked:
    for k, c in columns.items():
        values = {cell.lower() for cell in c.filled}
        if len(values) > 1 and values <= ALIASES.keys() and len(c.filled) == len(c.cells):
            return k, f"it says {', '.join(sorted(values))}"
    return None


def _label(columns: dict[int, Column], folders: Sequence[str], label: Column | None) -> Picked:
    """By its name; else what says the folder's name again; else the first of text with few values, or of few whole numbers."""
    named = [k for k in _named(columns, [*COLUMNS["label"], *LABEL_WORDS.split()]) if _few(columns[k])]
    if named:
        k = _coarsest(columns, [*named, *(k for k in _named(columns, COARSE) if _few(columns[k]))])
        finer = (
            "" if k == named[0] else f"; {plain(columns[named[0]].name, 30)} says it in {columns[named[0]].distinct} finer ones"
        )
        return k, f"{BY_NAME}, and it takes {columns[k].distinct} values{finer}"
    for k, c in columns.items():
        if c.distinct > 1 and c.cells == list(folders):
            return k, f"{BY_FOLDER}, {c.distinct} values"
    mute = {k for k, c in columns.items() if _says_group(c) or NO_LABELS & set(c.words)}
    for k, c in columns.items():
        if k not in mute and c.share < 0.5 and _few(c):
            return k, f"text that takes {c.distinct} values"
    if any(_says_group(columns[k]) for k in mute) and len(set(folders)) > 1:
        return None  # the folders are the labels, the table says whose the recordings are
    for k, c in columns.items():
        if k not in mute and c.share > 0.99 and (c.flat % 1 == 0).all() and 2 <= c.distinct <= min(FEW, len(c.cells) // 4):
            return k, f"it takes {c.distinct} whole values"
    return None


def _number(columns: dict[int, Column], folders: Sequence[str], label: Column | None) -> Picked:
    """The number to give, where nothing says a label: a column of many different values. Folders say one, unless its name says otherwise."""
    fit = target.of_files(columns)
    if label is not None or not fit or (len(set(folders)) > 1 and not target.says_so(columns[fit[0]].name)):
        return None
    first = columns[fit[0]]
    named = "its name, and " if target.says_so(first.name) else ""
    more = f"; {plain(', '.join(columns[k].name for k in fit[1:5]), 100)} may be it as well" if fit[1:] else ""
    empty = len(first.cells) - len(first.flat)
    gaps = f"; {empty} rows have none, and their files are left out" if empty else ""
    return fit[0], f"{named}it takes {first.distinct} different values, too many for classes{gaps}{more}"


def _coarsest(columns: dict[int, Column], named: Sequence[int]) -> int:
    """Of the columns that may be the label, the first; or one that says the same as it in fewer words, as a kind of activities does."""
    best = named[0]
    for k in named[1:]:
        pairs = set(zip(columns[best].cells, columns[k].cells, strict=True))
        if 2 <= columns[k].distinct < columns[best].distinct == len(pairs):
            best = k
    return best


def _few(column: Column) -> bool:
    values, most = column.distinct, len(column.cells) / FOLD
    whole = column.share < 0.5 or bool((column.flat % 1 == 0).all())
    return whole and 2 <= values <= max(2.0, min(most, NAMES))


def _says_group(column: Column) -> bool:
    return column.hint(" ".join((*COLUMNS["group"], *GROUP_WORDS.split()))) is not None or bool(NO_GROUPS & set(column.words))


def _group(columns: dict[int, Column], folders: Sequence[str], label: Column | None) -> Picked:
    """By its name; else the column of names with the most values that repeats as people do: over labels, and not with them."""
    marks = label.cells if label is not None else list(folders)
    for k in _named(columns, [*COLUMNS["group"], *GROUP_WORDS.split()]):
        c = columns[k]
        if c.distinct >= 2 and len(c.filled) > c.distinct:
            empty = len(c.cells) - len(c.filled)
            more = f"; {empty} rows have none, and each is one of its own" if empty else ""
            return k, f"its name, and {c.distinct} values repeat{more}"
    some = {k: c for k, c in columns.items() if _repeats(c, marks)}
    if not some:
        return None
    k = max(some, key=lambda k: (some[k].distinct, -k))
    return k, f"{some[k].distinct} names repeat in {len(some[k].filled)} rows, as a person or a device would"


def _repeats(column: Column, labels: Sequence[str]) -> bool:
    """Whether the values of a column could be people: names, not measures; more than the labels, and not of one label each."""
    filled = [(c, mark) for c, mark in zip(column.cells, labels, strict=True) if c]
    ids = column.share < 0.5 or all(len(c) == len(column.filled[0]) and c.startswith("0") for c in column.filled[:50])
    if not filled or not ids or NO_GROUPS & set(column.words) or column.distinct < 3 or column.hint(LABEL_WORDS) is not None:
        return False
    each = Counter(c for c, _ in set(filled))
    crossed = sum(n > 1 for n in each.values()) >= 1 or column.distinct > 2 * len(set(labels))
    return len(filled) >= REPEATS * column.distinct and column.distinct > len(set(labels)) and crossed


def layout_of(index: Index) -> Layout:
    """The layout that reads the index file."""
    return make_layout("audio", **dict(index.keys))


def places_of(base: Path, index: Index) -> list[Place]:
    """What the lines of the index file say. Raises UsageError."""
    layout = layout_of(index)
    if not layout.row_column:
        return list(read_labels(base, layout)[0].values())
    return [place for own in read_lines(base, layout)[0].found.values() for place in own.values()]


def about(index: Index, places: Sequence[Place]) -> dict[str, Any]:
    """What the table of files says, as fields of `look.Look`: labels, how many groups, whether it gives sides."""
    found: dict[str, Any] = {
        "groups": len({p.group for p in places if p.group}),
        "has_split": bool(places) and all(p.split for p in places),
    }
    if len(index.rates) == 1:
        found["rate"] = index.rates[0]
    elif index.rates:
        some = ", ".join(f"{r:g}" for r in index.rates[:6])
        found["unclear_rate"] = (
            f"rate: {plain(index.path, 40)} says {some} Hz, file by file; a project has one rate, so choose files of one (files, rate)"
        )
    labels = tuple(sorted({p.label for p in places if p.label}))
    return found | {"labels": labels} if labels else found
