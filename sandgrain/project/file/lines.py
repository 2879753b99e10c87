"""A look for an index file whose lines are recordings within .npz files, in the order of the lines or by a number of their own."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.npy import READ_ERRORS, open_member, read_header
from sandgrain.base.text import plain
from sandgrain.dataset.labels import LINE, Names
from sandgrain.dataset.readers.base import MAX_RECORDS, BadFileError
from sandgrain.project.file.column import Column
from sandgrain.project.file.listing import NO_LABELS, TABLES, Index, named_index, pick, rivals
from sandgrain.project.file.tables import Glance, glance, spread

ARRAYS = 64  # of a file whose shapes are looked at
FILES = 40
NUMBER_WORDS = "row index recording sample trial cycle window segment record id no number"  # of a recording within its file


def find_lines(base: Path, names: Sequence[str], tables: Sequence[str]) -> Index | None:
    """The first of `tables` with a row for each recording of every .npz file, or of the one that it names; None where there is none."""
    archives = [n for n in names if n.lower().endswith(".npz")]
    if not archives:
        return None
    lengths = {n: _lengths(base / n) for n in spread(archives, FILES)}
    near = sorted((n for n in tables if n.count("/") < 2), key=lambda n: (n.count("/"), n))
    for name in near[:TABLES]:
        try:
            seen = glance(base / name, MAX_RECORDS)
        except (BadFileError, OSError):
            continue
        if found := _judged(name, seen, lengths):
            return found
    return None


def _lengths(path: Path) -> frozenset[int]:
    """The first dimensions of a file's arrays that may hold recordings: of at least two dimensions, and not of one row."""
    found = set()
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist()[:ARRAYS]:
                with open_member(archive, info) as stream:
                    shape = read_header(stream, info).shape
                if len(shape) >= 2 and shape[0] > 1:
                    found.add(shape[0])
    except READ_ERRORS:
        return frozenset()
    return frozenset(found)


def _judged(name: str, seen: Glance, lengths: Mapping[str, frozenset[int]]) -> Index | None:
    if len(seen.stretches) != 1 or not seen.stretches[0]:
        return None
    cells = list(zip(*seen.stretches[0], strict=True))
    columns = {k: Column(title, [list(cells[k])], seen.form.decimal) for k, title in enumerate(seen.form.names)}
    if found := _files(columns, lengths, name):
        file, owners = found
        left = {k: c for k, c in columns.items() if k != file}
        picked: dict[str, tuple[int, str]] = {"file": (file, "its cells are names of .npz files that are there")}
    else:
        if not all(len(cells[0]) in own for own in lengths.values()):
            return None
        owners, left, picked = [""] * len(cells[0]), dict(columns), {}
    number = _number(left, owners)
    if number is None and any(owners.count(n) not in lengths.get(n, ()) for n in {*owners} - {""}):
        return None
    if number is not None:
        picked["row"] = number
        left.pop(number[0])
    said = pick(left, [""] * len(owners))
    if not {"label", "group", "target"} & said.keys():
        return None
    index = named_index(name, seen.form.names, picked | said)
    more = _others(left) if "label" in said else ""
    line: list[tuple[str, Any]] = [] if number is not None else [("row_column", LINE)]
    if "file" in picked and "file_column" not in dict(index.keys):
        line.append(("file_column", seen.form.names[picked["file"][0]].strip()))
    order = "" if number is not None else ", in the order of its lines (row_column)"
    what = f"{plain(name, 60)} has a line for each recording within the .npz files (labels){order}"
    return replace(
        index, keys=(*index.keys, *line), notes=(what, *index.notes, *([more] if more else [])), rivals=rivals(index, left)
    )


def _files(columns: Mapping[int, Column], lengths: Mapping[str, frozenset[int]], name: str) -> tuple[int, list[str]] | None:
    """The column that names .npz files, several lines each, and the file of each line."""
    places = Names(lengths, name)
    for k, column in columns.items():
        found = {cell: places.find(cell) for cell in set(column.cells)}
        if all(len(paths) == 1 for paths in found.values()) and len(column.cells) > len(found):
            return k, [found[cell][0] for cell in column.cells]
    return None


def _number(columns: Mapping[int, Column], owners: Sequence[str]) -> tuple[int, str] | None:
    """The column that counts the recordings of each file, from 0 or 1; of several the one that says so."""
    found = [k for k, column in columns.items() if _counts(column, owners)]
    if not found:
        return None
    best = min(found, key=lambda k: (columns[k].hint(NUMBER_WORDS) is None, columns[k].hint(NUMBER_WORDS) or 0, k))
    return best, f"it counts the recordings from {int(columns[best].flat.min())}"


def _counts(column: Column, owners: Sequence[str]) -> bool:
    if len(column.flat) != len(column.cells) or not bool((column.flat % 1 == 0).all()):
        return False
    first = column.flat.min()
    whole = np.array(owners)
    return first in (0, 1) and all(
        bool((np.sort(own := column.flat[whole == name]) == np.arange(len(own)) + first).all()) for name in set(owners)
    )


def _others(columns: Mapping[int, Column]) -> str:
    """Further columns that may be the label, for the user to choose."""
    few = [
        c.name.strip()
        for c in columns.values()
        if not NO_LABELS & set(c.words)
        and 2 <= c.distinct <= 12
        and 4 * c.distinct <= len(c.cells)
        and (c.share < 0.5 or bool((c.flat % 1 == 0).all()))
    ]
    return f"columns that may be the label as well: {plain(', '.join(few[:8]), 100)} (label_column)" if few else ""
