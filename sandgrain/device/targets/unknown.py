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
_NEW = "sandgrain targets --new my-board.toml"
_MOST = 3  # boards that a message names


def normal(name: str) -> str:
    """A name as targets are spelled: lower case, words joined by "-"."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


def sentence(name: str, known: Mapping[str, str]) -> str:
    """The fact and the way out for a name that no target has. `known`: every name and alias -> its core."""
    word = _squeezed(name)
    fact = f"there is no board or core called {plain(name)!r}"
    family = _family(word)
    if family is not None and "why" in family:
        return f"{fact}; {family['why']}"
    core = family["core"] if family else ""
    near = _near(word, known, core)
    if core:
        also = f", or take the board {' or '.join(near)}" if near else ""
        return f"{fact}; {family['chips']} have the core {core}: use it with --max-ram and --max-flash{also}, or write {_NEW}"
    cores = sorted(set(known.values()) - {"host"})
    if near:
        return f"{fact}; did you mean {' or '.join(near)}? A core with --max-ram and --max-flash stands in for any chip; or {_NEW}"
    return f"{fact}; choose one of {', '.join(cores)} with --max-ram and --max-flash, which stands in for any chip, or {_NEW}"


def _near(word: str, known: Mapping[str, str], core: str) -> list[str]:
    """The names that are spelled most alike, those of `core` alone where it is known."""
    able = {_squeezed(name): name for name, of in known.items() if core in ("", of) and name != of}
    if not core:
        able |= {_squeezed(name): name for name, of in known.items() if name == of and not _has_number(name)}
    return [able[close] for close in difflib.get_close_matches(word, able, n=_MOST, cutoff=0.6)]


def _has_number(core: str) -> bool:
    """Whether a core's name is letters and a number, such as cortex-m7: another number is another core, not a slip of the pen."""
    return core.startswith("cortex-")


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
