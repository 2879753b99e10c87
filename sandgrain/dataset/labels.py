"""The index file: a CSV table with a row a file, and columns that say its name, label, group and split, whatever they are called."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sandgrain.base.errors import UsageError
from sandgrain.dataset import targets
from sandgrain.dataset.names import Place, clean, escape, problem, split_of, stem
from sandgrain.dataset.readers.base import MAX_JSON, BadFileError
from sandgrain.dataset.readers.csv import open_table
from sandgrain.dataset.records import BadFile, Layout
from sandgrain.dataset.tables import TableOptions
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.unpack import unpacked
from sandgrain.dataset.walk import MAX_FILES, OUTSIDE, open_inside

LINE = "line"  # as `row_column`: the lines have the order of the recordings
WIDTH = " "  # marks a line of another width than the header; no column is called so
EXPORTED = ".labels"  # info.labels, as Edge Impulse exports it
COLUMNS = {
    "file": ("file", "filename", "file_name", "path", "filepath", "wav", "image", "recording"),
    "label": ("label", "class", "category", "word", "target", "activity", "gesture"),
    "group": ("group", "speaker", "subject", "user", "person", "participant", "speaker_id", "subject_id", "client_id", "user_id"),
    "split": ("split", "set", "subset", "partition", "source_split"),
}  # what a column is -> how people call it, the likeliest first


def read_labels(root: Path, layout: Layout) -> tuple[dict[str, Place], list[BadFile]]:
    """Name of a file, as the index file has it -> what is said about it, and the lines that cannot be used.

    `Names` finds the file. Raises UsageError for an index file that cannot be read, or lacks a column.
    """
    found: dict[str, Place] = {}
    bad: list[BadFile] = []
    if layout.labels.endswith(EXPORTED):
        return _exported(root, layout.labels)
    for number, row in rows(root, layout):
        try:
            path, place = _line(row)
            if found.setdefault(path, place) != place:
                raise BadFileError("is named twice, with different labels")
        except BadFileError as error:
            bad.append(bad_line(layout, number, row, error))
    return found, bad


def rows(root: Path, layout: Layout) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of the line, what a column is -> its cell) of each line of the index file; a line of another width lacks cells.

    Raises UsageError for an index file that cannot be read, or lacks a column.
    """
    try:
        with open_inside(root, layout.labels, layout.links) as stream:
            form, lines = open_table(*unpacked(stream, layout.labels), most=MAX_FILES)
            header = _header(form.names, layout)
            for number, fields in lines:
                row = dict(zip(header, fields, strict=False))
                yield number, row if len(fields) == len(header) else {WIDTH: "", **row}
    except BadFileError as error:
        raise UsageError(f"labels {escape(layout.labels, 80)}: {escape(str(error))}") from None


def bad_line(layout: Layout, number: int, row: dict[str, str], error: BadFileError) -> BadFile:
    """What is said about a line that cannot be used, under the name of its file where it has one."""
    name = escape(layout.labels)
    return BadFile(escape(row.get("file", "")) or name, f"{escape(layout.labels, 60)}, line {number}: {error}")


def chosen(layout: Layout, header: Collection[str]) -> dict[str, str]:
    """What a column is -> its name as `[data]` gives it, for those that it gives. `header`: in small letters."""
    table = layout.get(TableOptions)
    keys = {"file": layout.file_column, "label": table.label_column, "group": table.group_column, "split": layout.split_column}
    if layout.row_column != LINE:
        keys["row"] = layout.row_column
    target = layout.get(TargetOptions).target_column
    if target.strip().lower() in header:  # else it is a column of the tables
        keys[targets.PLACE] = target
    return {what: name for what, name in keys.items() if name}


def _exported(root: Path, name: str) -> tuple[dict[str, Place], list[BadFile]]:
    """Edge Impulse's info.labels: JSON with files, each with path, label and category. Raises UsageError."""
    found: dict[str, Place] = {}
    bad: list[BadFile] = []
    folder = posixpath.dirname(name)
    try:
        with open_inside(root, name) as stream:
            document = json.loads(stream.read(MAX_JSON).decode("utf-8-sig"))
        files = document["files"]
        if not isinstance(files, list):
            raise TypeError
    except BadFileError as error:
        raise UsageError(f"labels {escape(name, 80)}: {escape(str(error))}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"labels {escape(name, 80)} is not a list of files as Edge Impulse writes it; export it again") from None
    for number, file in enumerate(files, 1):
        try:
            label = file["label"]["label"] if isinstance(file["label"], dict) else file["label"]
            row = {
                "file": posixpath.join(folder, file["path"]),
                "label": str(label),
                "split": str(file.get("category", "")).replace("split", ""),
            }
            path, place = _line(row)
            found[path] = place
        except (KeyError, TypeError, AttributeError):
            bad.append(BadFile(escape(name), f"file {number} has no path and label"))
        except BadFileError as error:
            bad.append(BadFile(escape(name), f"file {number}: {error}"))
    return found, bad


def _header(fields: Sequence[str], layout: Layout) -> list[str]:
    """What each column is, for `rows`."""
    header = [name.strip().lower() for name in fields]
    given, by_row = chosen(layout, header), bool(layout.row_column)  # lines are recordings within files, which need no name
    for what, name in given.items():
        if name.strip().lower() not in header:
            raise BadFileError(f"has no column {name!r} ({what}_column); it has {', '.join(header)[:100]}")
    usual = usual_columns(header)
    if by_row:  # "recording" may be a number here: a column of files is named, or there is none
        usual.pop("file", None)
    usual = {what: k for what, k in usual.items() if header[k] not in {name.strip().lower() for name in given.values()}}
    where = usual | {what: header.index(name.strip().lower()) for what, name in given.items()}
    twice = any(name.endswith(" (2)") and name.removesuffix(" (2)") in COLUMNS for name in header)  # as `dialect` calls it
    if by_row and not {"label", "group", "split", targets.PLACE} & where.keys():
        raise BadFileError("none of its columns says a label or a group; say which do (label_column, group_column)")
    if twice or (not by_row and ("file" not in where or len(where) < 2)):
        raise BadFileError(
            f"its first line must name the columns file and label, once each, not {','.join(header)[:60]!r}; "
            "or say which they are (file_column, label_column)"
        )
    if len(set(where.values())) < len(where):
        raise BadFileError("two of file_column, row_column, label_column, group_column and split_column name the same column")
    named = {k: what for what, k in where.items()}
    return [named.get(k, f"column {k}") for k in range(len(header))]


def usual_columns(fields: Sequence[str]) -> dict[str, int]:
    """Which of COLUMNS a header has, and where."""
    header = [name.strip().lower() for name in fields]
    found = {what: next((header.index(word) for word in words if word in header), -1) for what, words in COLUMNS.items()}
    return {what: k for what, k in found.items() if k >= 0}


class Names:
    """Finds the files that an index file means: by their path, from the index file's folder, or as other machines call them,
    with more or fewer folders before the name, and without a suffix."""

    def __init__(self, paths: Iterable[str], labels: str) -> None:
        self._paths = frozenset(paths)
        self._folder = posixpath.dirname(labels)
        self._tails: dict[str, str] | None = None  # end of a path -> the path, "" where several end so

    def find(self, name: str) -> tuple[str, ...]:
        """The path of the file that `name` means; none where there is no such file, two where it may be either of them."""
        near = posixpath.normpath(posixpath.join(self._folder, name))
        for path in (name, near):
            if path in self._paths:
                return (path,)
        plain = re.sub(r"^[A-Za-z]:", "", name).replace("\\", "/")
        parts = [p for p in plain.split("/") if p not in ("", ".", "..")]
        if not parts:
            return ()
        if self._tails is None:
            self._tails = _tails(self._paths)
        whole = "/".join(parts)
        if whole in self._tails:
            return (self._tails[whole],) if self._tails[whole] else (whole, whole)
        ends = ("/".join(parts[k:]) for k in range(1, len(parts)))  # the folders of another machine
        return next(((end,) for end in ends if end in self._paths), ())

    def resolve(self, listed: Mapping[str, Place], labels: str) -> tuple[dict[str, Place], list[BadFile]]:
        """Path -> what `listed` says about it, names of files that are not there as they are; and names that cannot be used."""
        found: dict[str, Place] = {}
        bad: list[BadFile] = []
        for name, place in listed.items():
            paths = self.find(name)
            if len(paths) > 1:
                bad.append(
                    BadFile(escape(name), f"{escape(labels, 60)} names it, and several files are called so; write their folder")
                )
            elif not paths and (name.startswith("/") or ".." in name.split("/")):
                bad.append(BadFile(escape(name), f"{escape(labels, 60)} names it, and it {OUTSIDE}"))
            elif found.setdefault(paths[0] if paths else name, place) != place:
                bad.append(BadFile(escape(name), f"{escape(labels, 60)} names it twice, with different labels"))
        return found, bad


def _tails(paths: Iterable[str]) -> dict[str, str]:
    """Every end of a path, with and without its suffix -> the path, or "" where it is the end of several."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for k in range(len(parts)):
            end = "/".join(parts[k:])
            for tail in {end, stem(end)}:
                found[tail] = path if found.get(tail, path) == path else ""
    return found


def _line(row: dict[str, str]) -> tuple[str, Place]:
    return file_of(row), place_of(row)


def file_of(row: dict[str, str]) -> str:
    """The name of the file in a line. Raises BadFileError."""
    path = row.get("file", "").strip().removeprefix("./")
    if why := problem(path) or ("" if path else "no file is named"):
        raise BadFileError(why)
    return path


def place_of(row: dict[str, str]) -> Place:
    """What a line says. Raises BadFileError."""
    if WIDTH in row:
        raise BadFileError("has more or fewer fields than the first line")
    group, split = row.get("group", ""), row.get("split", "").strip()
    label = clean(row["label"], "label") if "label" in row else None
    fields = ((targets.PLACE, _number(row[targets.PLACE])),) if targets.PLACE in row else ()
    return Place(label, clean(group, "group") or None, split_of(split) if split else None, fields)


def _number(cell: str) -> str:
    """The cell, if it is a number. Raises BadFileError."""
    targets.number(cell, "target")
    return cell.strip()
