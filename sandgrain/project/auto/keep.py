"""Settings as the tables of a project file, and written into one: nothing else in it changes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandgrain.base import files
from sandgrain.base.errors import UsageError
from sandgrain.base.reading import read_small
from sandgrain.base.text import plain
from sandgrain.project.file.load import MAX_BYTES

HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z_]+)\s*(\.[^\]]*)?\]\]?\s*(#.*)?$")


def text_of(tables: Mapping[str, Any]) -> str:
    """`features` and `model` as TOML, without a line break at the end."""
    parts = [_table("[[features]]", block) for block in tables["features"]]
    return "\n\n".join([*parts, _table("[model]", tables["model"])])


def write(file: Path, tables: Mapping[str, Any]) -> None:
    """Put `features` and `model` into a project file instead of its own. Raises UsageError where that cannot be done by lines."""
    try:
        old = read_small(file, MAX_BYTES).decode("utf-8")
    except (OSError, ValueError):
        raise UsageError(f"{plain(file, 120)} cannot be read again; put the lines into it by hand") from None
    new, known = replaced(old, tables), tomllib.loads(old)
    wanted = {**known, **{key: value for key, value in tables.items() if value}}
    if not tables["features"]:
        wanted.pop("features", None)
    try:
        same = tomllib.loads(new) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise UsageError(f"{plain(file, 120)} is not written in tables of its own; put the lines into it by hand")
    with files.output(file, "put the lines into it by hand") as stream:
        stream.write(new.encode())


def replaced(text: str, tables: Mapping[str, Any]) -> str:
    """The file's text with other [[features]] and [model] tables, at the place of the first of them."""
    lines, kept, place = text.splitlines(), list[str](), -1
    inside = False
    for k, line in enumerate(lines):
        if header := HEADER.match(line):
            inside = header[1] in tables
            if inside and place < 0:
                place = len(kept)
        if inside and (header or not _belongs_below(lines, k)):
            continue
        kept.append(line)
    new = text_of(tables).splitlines()
    if place < 0:
        return "\n".join([*kept, "", *new]) + "\n"
    while place and not kept[place - 1].strip():
        place -= 1
        kept.pop(place)
    return "\n".join([*kept[:place], *[""] * bool(place), *new, "", *kept[place:]]).rstrip("\n") + "\n"


def _belongs_below(lines: list[str], k: int) -> bool:
    """Whether a line is a comment, or empty, with nothing but such lines up to the next table: it speaks of that."""
    for line in lines[k:]:
        if HEADER.match(line):
            return True
        if line.strip() and not line.lstrip().startswith("#"):
            return False
    return False


def _table(header: str, values: Mapping[str, Any]) -> str:
    return "\n".join([header, *(f"{_key(key)} = {_value(value)}" for key, value in values.items())])


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    return repr(value)
