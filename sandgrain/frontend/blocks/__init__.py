"""The feature blocks: every module of this package that defines a `Block` is found here, by looking."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sandgrain.base.errors import UsageError, printable
from sandgrain.frontend.blocks.base import Block


def _discover() -> dict[str, type[Block]]:
    found: dict[str, type[Block]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Block) and not inspect.isabstract(cls) and cls.__module__ == module.__name__:
                found[cls.name()] = cls
    return dict(sorted(found.items()))


BLOCKS: dict[str, type[Block]] = _discover()


def parse(items: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """The blocks of a project file's `[[features]]`. Raises UsageError, naming the block, the key and the way out."""
    return tuple(_block(item, k) for k, item in enumerate(items))


def _block(item: Mapping[str, Any], index: int) -> Block:
    place = f"[[features]] {index + 1}"
    if not isinstance(item, Mapping) or not isinstance(item.get("block"), str):
        raise UsageError(f"{place}: has no `block`; name one of {', '.join(BLOCKS)}")
    kind = item["block"]
    if kind not in BLOCKS:
        raise UsageError(f"{place}: there is no block {printable(kind)!r}{_nearest(kind, BLOCKS)}")
    cls = BLOCKS[kind]
    known = set(cls.model_fields) - {"block"}
    for key in item:
        if key != "block" and key not in known:
            raise UsageError(f"{place}: {kind} has no option {printable(str(key))!r}{_nearest(str(key), known)}")
    try:
        return cls.model_validate(dict(item))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or kind
        raise UsageError(f"{place}: {kind}: {printable(where)}: {printable(first['msg'], 120)}") from None


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"


__all__ = ["BLOCKS", "Block", "parse"]
