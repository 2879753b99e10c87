"""File formats: one file each, found by looking. `base.Reader` says what such a file offers."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import cast

from sandgrain.data.readers.base import Reader


@cache
def readers() -> tuple[Reader, ...]:
    """Every module of this folder that reads a format, in the order of their names."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")
    return tuple(cast(Reader, importlib.import_module(f"{__name__}.{name}")) for name in names)


def for_suffix(suffix: str) -> Reader | None:
    """The reader of files that end in `suffix` (".wav", lower case), or None."""
    return next((r for r in readers() if suffix in r.SUFFIXES), None)


def suffixes(kind: str) -> tuple[str, ...]:
    """What the names of files of this kind end in, sorted."""
    return tuple(sorted(s for r in readers() if kind in r.KINDS for s in r.SUFFIXES))
