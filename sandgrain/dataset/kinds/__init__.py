"""Kinds of data: one file each, found by looking. `base.Kind` says what such a file offers."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sandgrain.dataset.kinds.base import Kind as Kind


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its name, in the order of their names."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")
    made: list[Kind] = [importlib.import_module(f"{__name__}.{name}").KIND for name in names]
    return {kind.name: kind for kind in made}


def names() -> tuple[str, ...]:
    """What `[data] kind` may be."""
    return tuple(kinds())


def of(name: str) -> Kind:
    """The kind with this name. Raises KeyError."""
    return kinds()[name]
