"""The labels file: a CSV table with columns file, label and optionally group and split."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from sandgrain.base.errors import UsageError
from sandgrain.dataset.names import Place, clean, escape, problem, split_of
from sandgrain.dataset.readers.base import MAX_JSON, BadFileError
from sandgrain.dataset.readers.csv import open_table
from sandgrain.dataset.records import BadFile, Layout
from sandgrain.dataset.walk import MAX_FILES, OUTSIDE, open_inside

EXPORTED = ".labels"  # info.labels, as Edge Impulse exports it
COLUMNS = {
    "file": ("file", "filename", "file_name", "path", "filepath", "wav", "image", "recording"),
    "label": ("label", "class", "category", "word", "target", "activity", "gesture"),
    "group": ("group", "speaker", "subject", "user", "person", "participant", "speaker_id", "subject_id", "client_id", "user_id"),
    "split": ("split", "set", "subset", "partition", "source_split"),
}  # what a column is -> how people call it, the likeliest first


def read_labels(root: Path, layout: Layout) -> tuple[dict[str, Place], list[BadFile]]:
    """Path -> what the file says about it, and the lines that cannot be used. Raises UsageError for a file that cannot be read."""
    found: dict[str, Place] = {}
    bad: list[BadFile] = []
    header: list[str] = []
    if layout.labels.endswith(EXPORTED):
        return _exported(root, layout.labels)
    try:
        with open_inside(root, layout.labels) as stream:
            form, lines = open_table(stream, os.fstat(stream.fileno()).st_size, most=MAX_FILES)
            header = _header(form.names)
            for number, fields in lines:
                try:
                    path, place = _line(dict(zip(header, fields, strict=False)), len(fields) == len(header))
                    if found.setdefault(path, place) != place:
                        raise BadFileError("is named twice, with different labels")
                except BadFileError as error:
                    named = escape(fields[header.index("file")]) if len(fields) > header.index("file") else ""
                    bad.append(BadFile(named or escape(layout.labels), f"{escape(layout.labels, 60)}, line {number}: {error}"))
    except BadFileError as error:
        raise UsageError(f"labels {escape(layout.labels, 80)}: {escape(str(error))}") from None
    return found, bad


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
            path, place = _line(row, True)
            found[path] = place
        except (KeyError, TypeError, AttributeError):
            bad.append(BadFile(escape(name), f"file {number} has no path and label"))
        except BadFileError as error:
            bad.append(BadFile(escape(name), f"file {number}: {error}"))
    return found, bad


def _header(fields: Sequence[str]) -> list[str]:
    header = [name.strip().lower() for name in fields]
    twice = any(name.endswith(" (2)") and name.removesuffix(" (2)") in COLUMNS for name in header)  # as `dialect` calls it
    if twice or not {"file", "label"} <= known_columns(header):
        raise BadFileError(f"its first line must name the columns file and label, once each, not {','.join(header)[:60]!r}")
    for what, words in COLUMNS.items():
        if found := next((word for word in words if word in header), ""):
            header[header.index(found)] = what
    return header


def known_columns(fields: Sequence[str]) -> set[str]:
    """Which of COLUMNS a header has."""
    header = {name.strip().lower() for name in fields}
    return {what for what, words in COLUMNS.items() if header & set(words)}


def _line(row: dict[str, str], whole: bool) -> tuple[str, Place]:
    if not whole:
        raise BadFileError("has more or fewer fields than the first line")
    path = row["file"].strip().removeprefix("./")
    if path.startswith("/") or ".." in path.split("/"):
        raise BadFileError(OUTSIDE)
    if why := problem(path) or ("" if path else "no file is named"):
        raise BadFileError(why)
    group, split = row.get("group", ""), row.get("split", "").strip()
    return path, Place(clean(row["label"], "label"), clean(group, "group") or None, split_of(split) if split else None)
