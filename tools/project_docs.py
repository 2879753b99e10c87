"""Writes docs/reference/project.md: every section and key of `sandgrain.toml`, made from the schema. Run by `make docs`."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

HEAD = """\
# The project file

Every section and key of `sandgrain.toml`, with type, default and meaning. Generated from the schema by `make docs`; a test fails when the
two differ. `sandgrain init DATA` writes a first project file, and [guide/project.md](../guide/project.md) walks through one. A key that is
not listed here is an error, which names the nearest known key. Types are strict: `"16000"` is not a number.
"""
FEATURES = """\
## `[[features]]`

Blocks that turn a window into the model's input, in order: filters first, then one feature block, then `normalize`, which is
added automatically if it is not named. `block` names each.
"""


AUGMENT = """\
## `[[augment]]`

Variations of the training windows, applied in order; `kind` names each. Options are shown with their defaults; a list of two is a
range from which values are drawn. Validation and test windows are never varied.
"""


def render() -> str:
    """The whole page."""
    from sandgrain.frontend.blocks import BLOCKS
    from sandgrain.project.file.schema import Project

    parts = [HEAD]
    for name, field in Project.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            parts += _section(name, inner)
    parts.append(FEATURES)
    for name, block in BLOCKS.items():
        parts.append(f"### `{name}`\n\n{_sentence(block.summary)} For {' and '.join(block.kinds)}.\n")
        rows = list(_rows(block, skip={"block"}))
        parts += [_table(rows)] if rows else []
    parts += _augment()
    return "\n".join(parts)


def _section(name: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## `[{name}]`\n\n{' '.join((model.__doc__ or '').split())}\n"
    nested = {k: f.annotation for k, f in model.model_fields.items() if _is_section(f.annotation)}
    yield _table(list(_rows(model, skip=set(nested))))
    for key, inner in nested.items():
        assert isinstance(inner, type)
        yield from _section(f"{name}.{key}", inner)


def _augment() -> Iterator[str]:
    from sandgrain.dataset.augment import STEPS

    yield AUGMENT
    shared = "Each takes `probability` (default `1`), the share of windows that it varies, 0 to 1."
    rows = []
    for name, step in STEPS.items():
        options = [
            f"`{f.name} = {_toml(f.default).strip('`')}`" for f in fields(step) if f.name not in ("probability", "recordings")
        ]
        said = " ".join(_first_paragraph(step.__doc__ or "").split())
        rows.append((f"`{name}`", " and ".join(sorted(step.kinds)), " ".join(options), said))
    lines = ["| kind | for | options | what it does |", "|---|---|---|---|"]
    yield (
        "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])
        + f"\n\n{shared}\n"
    )


def _first_paragraph(text: str) -> str:
    return text.strip().split("\n\n")[0]


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _rows(model: type[BaseModel], skip: set[str]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        if name not in skip:
            made = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
            default = "required" if made is PydanticUndefined else _toml(made)
            yield f"`{name}`", _kind(field.annotation), default, _sentence(field.description or "")


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| key | type | default | what it is |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]) + "\n"


def _kind(annotation: Any) -> str:
    """A type in the words of TOML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return " or ".join(_toml(value) for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(a) for a in inner if a is not type(None))
    if origin is tuple:
        several = get_origin(inner[0]) in (Literal, Union, types.UnionType)
        return f"list of {_kind(inner[0])}" if several else f"list of {_kind(inner[0])}s"
    if origin is dict or annotation is dict:
        return "table"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "value")


def _toml(value: Any) -> str:
    if value is None or value == "":
        return "-" if value is None else '`""`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(_toml(v).strip("`") for v in value) + "]`"
    return "`{}`" if value == {} else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", ":")) or not text else f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.stdout.write(render())
