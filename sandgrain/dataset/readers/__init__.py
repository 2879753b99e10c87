"""File formats: one file each, found by looking. `base.Reader` says what such a file offers."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields
from functools import cache
from typing import Any, cast

from sandgrain.dataset.readers.base import Reader
from sandgrain.dataset.records import Layout


@cache
def readers() -> tuple[Reader, ...]:
    """Every module of this folder that reads a format, in the order of their names."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")
    return tuple(map(for_module, names))


@cache
def option_classes() -> tuple[type[Any], ...]:
    """What readers can be told: dataclasses, each once."""
    return tuple(dict.fromkeys(options for reader in readers() for options in reader.OPTIONS))


def make_layout(kind: str, **keys: Any) -> Layout:
    """A layout from the keys of `[data]`, those of the readers' options among them. Raises TypeError for an unknown key."""
    chosen = []
    for options in option_classes():
        made = options(**{f.name: keys.pop(f.name) for f in fields(options) if f.name in keys})
        if made != options():
            chosen.append(made)
    return Layout(kind, **keys, options=tuple(chosen))


def keys_of(layout: Layout) -> dict[str, Any]:
    """The inverse of `make_layout`: every key and its value, `kind` first."""
    own = {f.name: getattr(layout, f.name) for f in fields(layout) if f.name != "options"}
    chosen = (layout.get(options) for options in option_classes())
    return own | {f.name: getattr(options, f.name) for options in chosen for f in fields(options)}


def for_module(name: str) -> Reader:
    """The reader in file `name` of this folder."""
    return cast(Reader, importlib.import_module(f"{__name__}.{name}"))


def for_suffix(suffix: str) -> Reader | None:
    """The reader of files that end in `suffix` (".wav", lower case), or None."""
    return next((r for r in readers() if suffix in (*r.SUFFIXES, *also(r))), None)


def also(reader: Reader) -> tuple[str, ...]:
    """Suffixes that say nothing, of files that the reader reads where `files` of the layout names them."""
    return tuple(getattr(reader, "ALSO", ()))


def suffixes(kind: str) -> tuple[str, ...]:
    """What the names of files of this kind end in, sorted."""
    return tuple(sorted(s for r in readers() if kind in r.KINDS for s in r.SUFFIXES))
