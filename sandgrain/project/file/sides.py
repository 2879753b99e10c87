"""Names of tables that say which side of the split each is for: data_train.csv beside data_test.csv, or train/a.csv beside test/b.csv."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sandgrain.base.text import plain
from sandgrain.dataset.names import stem
from sandgrain.project.file.people import SPLIT_WORDS

MAX_FILES = 50  # whose names are written into the project file
WORDS = {
    "train": re.compile(r"(?:.*[^a-z])?train(?:ing)?(?:[^a-z].*)?|train(?:ing)?[a-z]+|[a-z]+train(?:ing)?\d*"),
    "test": re.compile(r"(?:.*[^a-z])?test(?:ing)?(?:[^a-z].*)?|test(?:ing)?[a-z]+|[a-z]+test(?:ing)?\d*"),
    "validation": re.compile(r"(?:.*[^a-z])?(?:val|valid|validation)(?:[^a-z].*)?"),
}


def sides(names: Sequence[str]) -> dict[str, Any]:
    """Fields of `look.Look` where every name says one side, and some say "train" and some "test"; else nothing.

    `names`: relative posix paths of tables whose labels or numbers lie inside.
    """
    parts = [stem(name).split("/") for name in names]
    if {len(p) for p in parts} == {2} and {p[0].lower() for p in parts} <= SPLIT_WORDS and len({p[0] for p in parts}) > 1:
        return {"name": "{split}/{index}", "has_split": True}
    if {len(p) for p in parts} != {1} or len(parts) > MAX_FILES:
        return {}
    told = [[side for side, word in WORDS.items() if word.fullmatch(p[0].lower())] for p in parts]
    if any(len(t) != 1 for t in told) or not {"train", "test"} <= {t[0] for t in told}:
        return {}
    of = {side: tuple(p[0] for p, t in zip(parts, told, strict=True) if t[0] == side) for side in ("validation", "test")}
    chosen = tuple((side, files) for side, files in of.items() if files)
    shown = "; ".join(f"{side}: {plain(', '.join(files[:3]), 80)}" for side, files in chosen)
    said = f"the files' names say which side of the split each is for ({shown}); the others train (split.choose)"
    return {"name": "{file}", "chosen": chosen, "notes": (said,)}
