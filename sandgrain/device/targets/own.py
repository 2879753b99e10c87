"""A board of one's own: its TOML file, read, checked and written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.base.reading import open_plain, why
from sandgrain.base.text import plain

__all__ = ["FIELDS", "Field", "completed", "named", "read", "shown", "to_toml"]

MAX_BYTES = 1 << 16  # of a board's file
_PAGE = 0x1000  # the emulator maps whole pages
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a board's file.

    `low`, `high`: the range of a number; for text, the least and most characters. `default`: None where the file must have it, or
    the name of another key of the core's own figures ("core"), or "" and 0.
    """

    kind: type
    low: float
    high: float
    meaning: str
    default: Any = None


CORE = object()  # the default is the core's own figure
_TEXT = (1, 2000)
_ADDRESS = (0, (1 << 32) - _PAGE)
_SIZE = (256, 1 << 30)
_SHARE = (0, 1 << 30)

FIELDS: Mapping[str, Field] = {
    "name": Field(str, 1, 64, "what reports call the board; the file's name if it is left out", ""),
    "title": Field(str, *_TEXT, "its full name", ""),
    "core": Field(str, 1, 64, "its core, one of those that `sandgrain targets` lists"),
    "ram_base": Field(int, *_ADDRESS, "first address of its largest piece of RAM", CORE),
    "ram_bytes": Field(int, *_SIZE, "bytes of that RAM"),
    "flash_base": Field(int, *_ADDRESS, "first address of its flash", CORE),
    "flash_bytes": Field(int, *_SIZE, "bytes of flash"),
    "clock_hz": Field(int, 1000, 10**11, "clock of the core, Hz"),
    "supply_v": Field(float, 0.1, 100, "supply voltage, V", CORE),
    "active_ma": Field(float, 1e-6, 1e6, "current while it computes, mA", CORE),
    "sleep_ma": Field(float, 0, 1e6, "current asleep with its RAM kept, mA", 0),
    "sleep_source": Field(str, *_TEXT, "where that figure comes from", ""),
    "data_sheet": Field(str, *_TEXT, "where the figures come from", ""),
    "system": Field(str, *_TEXT, "what else lives in its memory: an operating system, a boot loader", ""),
    "system_ram_bytes": Field(int, *_SHARE, "bytes of RAM that this takes", 0),
    "system_flash_bytes": Field(int, *_SHARE, "bytes of flash that this takes", 0),
    "notes": Field(str, *_TEXT, "anything else", ""),
    "wait_states": Field(dict, 0, 0, "how far memory slows it down: factor, error, source", ""),
}
_WAITS = {
    "factor": Field(float, 1, 100, "cycles over the estimate without wait states"),
    "error": Field(float, 0, 1, "the share by which that may be off"),
    "source": Field(str, *_TEXT, "what both rest on"),
}
_WORDS = {int: "a whole number", float: "a number", str: "text in quotes", dict: "a table"}


def shown(value: object) -> str:
    """A path or a word of somebody's file, for a message."""
    return plain(str(value), 120)


def read(path: Path, text: str | None = None) -> tuple[str, dict[str, Any]]:
    """The text of a board's file and its fields, each of its type and in its range. Raises UsageError naming file and key.

    `text`: what the file will hold, where it is not written yet.
    """
    name = shown(path)
    text = _text(path, name) if text is None else text
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        fact = "nested too deep" if isinstance(error, RecursionError) else plain(str(error), 120)
        raise UsageError(f"{name} is not TOML: {fact}; start from: sandgrain targets --new my-board.toml") from None
    _check(raw, FIELDS, name)
    if "wait_states" in raw:
        _check(raw["wait_states"], _WAITS, f"{name}: [wait_states]")
    _check_sense(raw, name)
    return text, raw


def _text(path: Path, name: str) -> str:
    try:
        if path.is_dir():
            raise UsageError(f"{name} is a folder, not a board's file; give the .toml in it")
        with open_plain(path) as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no board file {name}; write one with: sandgrain targets --new {path.name}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read ({why(error)}); give the path of a board's TOML file") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES} bytes; a board's file is a page")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text; save it as UTF-8") from None


def _check(raw: Mapping[str, Any], fields: Mapping[str, Field], name: str) -> None:
    if extra := sorted(set(raw) - set(fields)):
        raise UsageError(f"{name}: there is no key {shown(extra[0])!r}; known are {', '.join(fields)}")
    if missing := [key for key, field in fields.items() if field.default is None and key not in raw]:
        raise UsageError(f"{name}: {missing[0]!r} is missing ({fields[missing[0]].meaning}); add it")
    for key, value in raw.items():
        _check_value(value, fields[key], f"{name}: {key}")


def _check_value(value: Any, field: Field, place: str) -> None:
    if isinstance(value, bool) or (not isinstance(value, field.kind) and not (field.kind is float and isinstance(value, int))):
        raise UsageError(f"{place}: should be {_WORDS[field.kind]}: {field.meaning}")
    if field.kind is dict:
        return
    measured: Any = len(str(value)) if field.kind is str else value
    if not field.low <= measured <= field.high:
        unit = " characters" if field.kind is str else ""
        raise UsageError(f"{place}: {shown(value)} is not between {field.low:g} and {field.high:g}{unit}; {field.meaning}")


def _is_a(value: Any, kind: type) -> bool:
    """Whether TOML's `value` may stand where `kind` is wanted: a whole number is a number, true is none."""
    return not isinstance(value, bool) and isinstance(value, (int, float) if kind is float else kind)


def _check_sense(raw: Mapping[str, Any], name: str) -> None:
    """What no key alone shows: addresses on pages, the system's share less than the whole, a source for a figure."""
    for kind in ("ram", "flash"):
        base = raw.get(f"{kind}_base", 0)
        if base % _PAGE:
            raise UsageError(f"{name}: {kind}_base: {base:#x} does not start on a 4 KiB page; round it down")
        if base + raw[f"{kind}_bytes"] > 1 << 32:
            raise UsageError(f"{name}: {kind}_bytes: the region ends above 4 GiB; lower it or {kind}_base")
        if raw.get(f"system_{kind}_bytes", 0) >= raw[f"{kind}_bytes"]:
            raise UsageError(f"{name}: system_{kind}_bytes: leaves no {kind} for a model; lower it")
        if raw.get(f"system_{kind}_bytes", 0) and not raw.get("system"):
            raise UsageError(f"{name}: system is missing (it says what takes system_{kind}_bytes); add it")
    if ("sleep_ma" in raw) != ("sleep_source" in raw):
        raise UsageError(f"{name}: sleep_ma and sleep_source belong together; give both or none")
    if raw.get("sleep_ma", 0) > raw.get("active_ma", raw.get("sleep_ma", 0)):
        raise UsageError(f"{name}: sleep_ma is more than active_ma; correct one of them")
    if not _NAME.fullmatch(raw.get("name", "a")):
        raise UsageError(f"{name}: name: use lower-case letters, digits, '-', '_' and '.'")


def completed(path: Path, raw: Mapping[str, Any], memory: Mapping[str, int | float]) -> dict[str, Any]:
    """The fields with what the file leaves out: addresses, supply and current of the core's generic board. Raises UsageError."""
    stem = re.sub(r"[^a-z0-9._-]+", "-", path.name.lower().removesuffix(".toml")).strip("-._")[:64] or "board"
    round_figures = [key for key in ("supply_v", "active_ma") if key not in raw]
    source = "given by the board's file" + ("; supply and current are round figures" if round_figures else "")
    given: dict[str, Any] = {key: memory[key] for key, field in FIELDS.items() if field.default is CORE}
    given |= {"name": stem, "data_sheet": source, **raw}
    given.setdefault("title", given["name"])
    ram, flash = ((given[f"{kind}_base"], given[f"{kind}_base"] + given[f"{kind}_bytes"]) for kind in ("ram", "flash"))
    if ram[0] < flash[1] and flash[0] < ram[1]:
        fact = f"RAM {ram[0]:#x}..{ram[1]:#x} and flash {flash[0]:#x}..{flash[1]:#x} overlap"
        raise UsageError(f"{shown(path)}: {fact}; correct ram_base or flash_base")
    return given


def named(text: str, name: str) -> str:
    """A board's text with its name, so that the file may be called otherwise."""
    return f'name = "{name}"\n{text}'


def to_toml(values: Mapping[str, Any]) -> str:
    """A board's file with the fields of `values`, each with what it means; addresses in hexadecimal."""
    lines = ["# A board for Sandgrain: give this file's path wherever a board's name may stand, such as --target ./my-board.toml"]
    for key, field in FIELDS.items():
        if key not in values:
            if field.kind is not dict:
                lines.append(f"# {key} = # {field.meaning}")
            continue
        value = values[key]
        if isinstance(value, str):
            word = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML has JSON's escapes
        elif isinstance(value, Mapping):
            word = "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + " }"
        else:
            word = f"{value:#x}" if key.endswith("_base") and isinstance(value, int) else json.dumps(value, default=str)
        lines.append(f"{key} = {word} # {field.meaning}")
    if extra := sorted(set(values) - set(FIELDS)):
        raise UsageError(f"a board has no {shown(extra[0])!r}; known are {', '.join(FIELDS)}")
    return "\n".join(lines) + "\n"
