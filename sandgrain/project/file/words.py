"""A look for the names of labels that are numbers: in a small list beside the data, such as labels.json or class_names.txt."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandgrain.base.reading import read_small
from sandgrain.base.text import plain
from sandgrain.dataset.names import MAX_LABEL, clean, stem, suffix

NAME = re.compile(
    r"(?:[a-z0-9]+[_-])?(?:labels?|class(?:es)?|categories|activities|activity)(?:[_-]?(?:names?|labels?|map|list|index))?"
)
SUFFIXES = (".json", ".txt")
MAX_BYTES = 1 << 16
MAX_WORDS = 500
NUMBERED = re.compile(r"\s*(\d{1,4})\s*[\s,;:=.)]\s*(\S.*?)\s*")


def find_words(base: Path, names: Sequence[str], labels: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """(the names of labels 0, 1, ..., a note on them); nothing where the labels are no numbers, or no list has a name for each."""
    if not labels or not all(label.isdecimal() and len(label) < 5 for label in labels):
        return (), ""
    wanted = {int(label) for label in labels}
    for name in names:
        leaf = name.rpartition("/")[2].lower()
        if name.count("/") > 1 or suffix(leaf) not in SUFFIXES or not NAME.fullmatch(stem(leaf)):
            continue
        try:
            known = _words(read_small(base / name, MAX_BYTES).decode("utf-8-sig"), suffix(leaf))
        except (OSError, ValueError, RecursionError):
            continue
        if known and wanted <= known.keys() and all(known[k] for k in wanted):
            words = tuple(known.get(k, "") for k in range(max(wanted) + 1))
            said = ", ".join(f"{k} is {known[k]}" for k in sorted(wanted)[:3])
            return words, f"{plain(name, 60)} names the labels: {plain(said, 120)} (label_names)"
    return (), ""


def _words(text: str, end: str) -> dict[int, str]:
    """Number -> name. Raises ValueError for what is no such list."""
    found: Any
    if end == ".json":
        found = json.loads(text)
        if isinstance(found, dict) and len(found) == 1 and isinstance(next(iter(found.values())), list | dict):
            found = next(iter(found.values()))
        if isinstance(found, dict) and all(isinstance(v, int) for v in found.values()):
            found = {str(v): k for k, v in found.items()}
        rows = list(enumerate(found)) if isinstance(found, list) else [(int(k), v) for k, v in found.items()]
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        numbered = [NUMBERED.fullmatch(line) for line in lines]
        whole = [m for m in numbered if m]
        rows = [(int(m[1]), m[2]) for m in whole] if len(whole) == len(lines) else list(enumerate(lines))
    if not 0 < len(rows) <= MAX_WORDS or not all(isinstance(v, str) and 0 < len(v) <= MAX_LABEL for _, v in rows):
        raise ValueError("no list of names")
    made = {k: clean(v, "label") for k, v in rows}
    if len(set(made.values())) < len(rows) or any(not 0 <= k < 10 * MAX_WORDS for k in made):
        raise ValueError("names that are not one for each number")
    return made
