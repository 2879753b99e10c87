"""What kind of value an attribute of an op has, so that a graph from a stranger is refused by the attribute's name."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from sandgrain.base.text import ascii_line

# `int`, `float` (a whole number will do), `bool`, `str`, or another type; (int, int) for exactly two; [int] for any number of them.
Kind = type | tuple[Any, ...] | list[Any]

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
PLURALS = {int: "whole numbers", float: "numbers", bool: "flags", str: "words"}


def kinds(**given: Kind) -> Mapping[str, Kind]:
    """Attributes by name."""
    return MappingProxyType(given)


def faults(must: Mapping[str, Kind], may: Mapping[str, Kind], attrs: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the names and kinds of `attrs`, a fact each; nothing of their values. `must`, `may`: have."""
    for name, kind in {**must, **may}.items():
        if name not in attrs:
            if name in must:
                yield f"has no attribute {name}, {said(kind)}; write the graph again"
        elif not fits(attrs[name], kind):
            yield f"its attribute {name} is {ascii_line(repr(attrs[name]), 40)}, not {said(kind)}; write the graph again"
    for name in sorted(map(str, attrs.keys() - must.keys() - may.keys())):
        yield f"has an attribute {ascii_line(name, 40)}, which the op does not have; write the graph again"


def fits(value: Any, kind: Kind) -> bool:
    """Whether `value` is of `kind`. A number must be finite."""
    if isinstance(kind, tuple):
        return isinstance(value, tuple) and len(value) == len(kind) and all(map(fits, value, kind))
    if isinstance(kind, list):
        return isinstance(value, tuple) and all(fits(v, kind[0]) for v in value)
    if kind is int or kind is float:
        if isinstance(value, bool):  # an int to Python
            return False
        return isinstance(value, numbers.Integral if kind is int else numbers.Real) and math.isfinite(value)
    return isinstance(value, kind)


def said(kind: Kind) -> str:
    """A kind in words."""
    if isinstance(kind, tuple):
        return f"{len(kind)} {PLURALS[kind[0]]}"
    if isinstance(kind, list):
        inner = kind[0]
        return f"lists of {PLURALS[inner[0]]}" if isinstance(inner, list | tuple) else f"a list of {PLURALS[inner]}"
    return WORDS.get(kind, f"a {kind.__name__}")
