"""Looks into files that say more than their names do: one file each, found by looking. `Inside` says what such a file offers."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from sandgrain.dataset.readers import for_module


class Inside(Protocol):
    """A module of this folder.

    It may have `tracked(seen)`: whether label tracks may lie beside files in which `look` has found this.
    """

    READERS: tuple[str, ...]  # names of the readers whose files it looks into

    def look(self, base: Path, names: Sequence[str]) -> dict[str, Any]:
        """Fields of `look.Look`, from some of these files below `base`. Raises UsageError."""


@cache
def found() -> Mapping[str, Inside]:
    """Every module of this folder by its name."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__))
    return {name: cast(Inside, importlib.import_module(f"{__name__}.{name}")) for name in names}


def suffixes() -> dict[str, str]:
    """What the names of files end in, and the name of the module that looks into them."""
    return {end: name for name, inside in found().items() for reader in inside.READERS for end in for_module(reader).SUFFIXES}


def may_be_tracked(name: str, seen: Mapping[str, Any]) -> bool:
    """Whether label tracks may lie beside files in which this was found."""
    tracked = getattr(found()[name], "tracked", None)
    return tracked is not None and bool(tracked(seen))
