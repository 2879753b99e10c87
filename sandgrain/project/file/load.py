"""Reads `sandgrain.toml`: a file in, a checked `Project` out, or one line that names the file, the key and the way out."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.base.reading import open_plain, why
from sandgrain.base.text import plain
from sandgrain.dataset import augment
from sandgrain.dataset.names import PROJECT_FILE
from sandgrain.device import targets
from sandgrain.frontend.blocks import Block
from sandgrain.frontend.blocks import parse as parse_features
from sandgrain.project.file.schema import Project

NAME = PROJECT_FILE
MAX_BYTES = 1 << 18  # of a project file
MAX_DEPTH = 16  # tables and lists in each other; the schema needs five
MANY = 24  # keys of a section: more are not told one by one


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project file that was read: where it lies, what it says, and its feature blocks, parsed."""

    file: Path
    project: Project
    blocks: tuple[Block, ...]

    @property
    def folder(self) -> Path:
        """The folder that the file's paths start from."""
        return self.file.parent

    @property
    def board(self) -> targets.Board:
        """The project's board; the path of a board's file starts from the project's folder."""
        return targets.load(self.project.target.board, self.folder)

    @property
    def work(self) -> Path:
        """Where manifests and caches go."""
        return self.folder / ".sandgrain"

    @property
    def root(self) -> Path:
        """The data's folder or file. Raises UsageError where there is none."""
        return find_data(self.folder, self.project.data.path)


def load(path: str | os.PathLike[str] = ".") -> Loaded:
    """The project file `path`, or the `sandgrain.toml` in folder `path`.

    Raises UsageError for a file that cannot be read, a key that does not exist (the nearest known one is named), a value
    of the wrong type or out of its range, a board or a block that there is none of.
    """
    file = Path(path)
    if file.is_dir():
        file = file / NAME
    raw = read_toml(file)
    name = plain(file.name)
    try:
        project = parse(raw)
        targets.load(project.target.board, file.parent)
        augment.from_tables(project.augment, project.data.kind)
        return Loaded(file, project, parse_blocks(project.features))
    except SandgrainError as error:
        raise UsageError(f"{name}: {error}") from None


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file of moderate size and depth. Raises UsageError."""
    name = plain(str(file), 120)
    try:
        with open_plain(file) as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no {name}; write one with: sandgrain init DATA") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read ({why(error)}); give a {NAME} or its folder") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES} bytes; a project file is a page")
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        fact = "nested too deep" if isinstance(error, RecursionError) else plain(str(error), 120)
        raise UsageError(f"{name} is not TOML: {fact}") from None
    if _depth(raw) > MAX_DEPTH:
        raise UsageError(f"{name}: tables are nested more than {MAX_DEPTH} deep; a project needs five")
    return raw


def parse(raw: Mapping[str, Any]) -> Project:
    """The project that `raw` describes. Raises UsageError: the section and key, the fact, the way out."""
    try:
        return Project.model_validate(dict(raw))
    except ValidationError as error:
        raise UsageError(_sentence(error)) from None


def parse_blocks(items: Sequence[Any]) -> tuple[Block, ...]:
    """The feature blocks of `[[features]]`. Raises UsageError."""
    return parse_features(items)


def find_data(folder: Path, path: str) -> Path:
    """`path` relative to `folder`, or below $SANDGRAIN_DATA. Raises UsageError where it is in neither."""
    below = os.environ.get("SANDGRAIN_DATA", "")
    tried = [folder / path, *([Path(below) / path] if below else [])]
    for place in tried:
        try:
            if place.exists():
                return place
        except (OSError, ValueError):  # a name too long for the file system, or with a NUL
            continue
    if below:
        raise UsageError(
            f"[data] path: {plain(path)!r} is neither beside the project file nor in SANDGRAIN_DATA; correct one of them"
        )
    raise UsageError(f"[data] path: {plain(path)!r} is not beside the project file; set SANDGRAIN_DATA to the folder that has it")


def _depth(value: object) -> int:
    """How deep tables and lists lie in each other; walked without recursion, for the depth is not known yet."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        if deepest > MAX_DEPTH:
            break
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level = [item for item in inner if isinstance(item, dict | list)]
    return deepest


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's findings, as our one line; unknown keys first, for they explain keys that are missing."""
    found = error.errors(include_url=False, include_input=False)
    found.sort(key=lambda e: e["type"] != "extra_forbidden")
    first = found[0]
    loc = tuple(first["loc"])
    place = _place(loc[:-1]) if first["type"] in ("extra_forbidden", "missing") else _place(loc)
    message = _fact(first["type"], loc, str(first["msg"]))
    return f"{place}{message}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")


# pydantic's finding -> what a reader of TOML expects.
_TYPES = {
    "string_type": "should be text in quotes",
    "tuple_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
}


def _fact(kind: str, loc: tuple[int | str, ...], message: str) -> str:
    last = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        return f"there is no key {plain(last)!r}; {_nearest(last, _known(loc[:-1]))}"
    if kind == "missing":
        return f"section [{last}] is missing; add it" if len(loc) == 1 else f"{last!r} is missing; add it"
    return _TYPES.get(kind) or plain(message.removeprefix("Value error, ").removeprefix("Input "), 200)


def _place(loc: tuple[int | str, ...]) -> str:
    """("data", "split", "seed") -> "[data.split] seed: "."""
    if not loc:
        return ""
    tables = 0
    model: type[BaseModel] = Project
    for part in loc:
        inner = _section(model, str(part))
        if inner is None:
            break
        tables, model = tables + 1, inner
    if tables == 0:  # a list of tables, such as features
        name = plain(str(loc[0]))
        number = f" {loc[1] + 1}" if len(loc) > 1 and isinstance(loc[1], int) else ""
        rest = ".".join(plain(str(p)) for p in loc[2:])
        return f"[[{name}]]{number}" + (f" {rest}: " if rest else ": ")
    section = "[" + ".".join(plain(str(p)) for p in loc[:tables]) + "]"
    rest = ".".join(plain(str(p)) for p in loc[tables:] if p != "[key]")
    return f"{section} {rest}: " if rest else f"{section}: "


def _section(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The section that `key` of `model` holds, if it holds one."""
    field = model.model_fields.get(key)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _known(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that may stand at `loc`."""
    model: type[BaseModel] = Project
    for part in loc:
        inner = _section(model, str(part))
        if inner is None:
            return ()
        model = inner
    return tuple(model.model_fields)


def _nearest(word: str, known: Sequence[str]) -> str:
    elsewhere = [name for name in Project.model_fields if word in _known((name,))]
    if elsewhere:
        return f"it belongs in [{elsewhere[0]}]"
    if word in Project.model_fields:
        return "it is a section of its own"
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(known) > MANY:
        return f"docs/reference/project.md has its {len(known)} keys (sandgrain docs reference/project)"
    return f"known are {', '.join(sorted(known))}"
