"""Names of targets that there are none of: the nearest by meaning, and what stands in for any chip.

`families.toml` says which core a family of chips has, and why others cannot be compiled for.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sandgrain.base.text import plain

__all__ = ["normal", "sentence"]

_FILE = Path(__file__).parent / "families.toml"
_ANY = (  # what helps with any chip
    "with --max-ram and --max-flash a core stands in for any chip; sandgrain targets --new my-board.toml describes a board of your own"
)
_CORE = re.compile(r"cortex|m\d|rv32|risc")  # a name of a core: another number is another core, not a slip of the pen
_MOST = 3  # boards that a message names
_ALIKE = 0.7  # of difflib: "microbitt" is microbit-v2 misspelt, "nope" is no openmv


def normal(name: str) -> str:
    """A name as targets are spelled: lower case, words joined by "-"."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


def sentence(name: str, known: Mapping[str, str], cores: Mapping[str, str]) -> str:
    """The fact and the way out for a name that no target has.

    `known`: every name and alias -> the target. `cores`: every target -> its core.
    """
    word = _squeezed(name)
    fact = f"there is no board or core called {plain(name)!r}"
    family = _family(word)
    if family is not None and "why" in family:
        return f"{fact}; {family['why']}"
    if family is not None:
        core = family["core"]
        near = _near(word, {alias: real for alias, real in known.items() if cores[real] == core != real})
        also = f", or the board {' or '.join(near)}" if near else ""
        return f"{fact}; {family['chips']} run code for {core}: use {core}{also}, {_ANY}"
    if near := _near(word, {alias: real for alias, real in known.items() if not _CORE.match(alias)}):
        return f"{fact}; did you mean {' or '.join(near)}? {_ANY[0].upper()}{_ANY[1:]}"
    return f"{fact}; choose one of {', '.join(sorted(set(cores.values()) - {'host'}))}, {_ANY}"


def _near(word: str, known: Mapping[str, str]) -> list[str]:
    """The targets with a name or alias spelled most alike; those that begin as `word` does come first."""
    able: dict[str, str] = {}
    for alias, real in known.items():
        able.setdefault(_squeezed(alias), real)
    starts = sorted(alias for alias in able if word and alias.startswith(word))
    close = difflib.get_close_matches(word, able, n=_MOST, cutoff=_ALIKE)
    return list(dict.fromkeys(able[alias] for alias in (*starts, *close)))[:_MOST]


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _families() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Every prefix of a chip's name with its family, the longest first."""
    families = tomllib.loads(_FILE.read_text("utf-8"))["family"]
    pairs = [(prefix, family) for family in families for prefix in family["prefixes"]]
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def _family(word: str) -> dict[str, Any] | None:
    return next((family for prefix, family in _families() if word.startswith(prefix)), None)
