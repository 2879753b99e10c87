"""A sampling rate in the words that lie beside the data: taken where one is named, never invented."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sandgrain.base.text import plain

MAX_TEXT = 1 << 16  # bytes of a text
MAX_TEXTS = 8
MOST = 20_000.0  # Hz, of a sensor; beyond it, sound is meant
HERTZ = re.compile(r"(?<![\w.])(\d{1,6}(?:[.,]\d{1,4})?)\s*(k?Hz)\b", re.IGNORECASE)
EVERY = re.compile(
    r"\b(?:a|one) (?:sample|row|reading|measurement|line)s? (?:every|each) (\d{1,5}(?:\.\d{1,4})?)\s*(ms|s|sec|seconds?|min|minutes?|h|hours?)\b",
    re.IGNORECASE,
)
SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def of_texts(base: Path, names: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    """(the rate in Hz that the texts beside the data name, 0 where they name none or several, notes on that)."""
    texts = [
        n for n in names if "/" not in n and Path(n).suffix.lower() in (".md", ".txt", ".rst", "") and "licen" not in n.lower()
    ]
    said: dict[float, tuple[str, str]] = {}
    for name in texts[:MAX_TEXTS]:
        try:
            with (base / name).open("rb") as stream:
                text = stream.read(MAX_TEXT).decode("utf-8", "replace")
        except OSError:
            continue
        for rate, words in _rates(text):
            said.setdefault(rate, (name, words))
    if len(said) == 1:
        rate, (name, words) = next(iter(said.items()))
        return rate, (
            f"rate: the recordings do not say; {plain(name, 40)} says {plain(words, 60)!r}, so {rate:g} Hz; if it means something else, set rate",
        )
    if said:
        words = ", ".join(plain(w, 40) for _, w in list(said.values())[:6])
        return 0.0, (
            f"rate: {plain(next(iter(said.values()))[0], 40)} speaks of {words}; which of them is the recordings' is not clear (rate)",
        )
    return 0.0, ()


def _rates(text: str) -> list[tuple[float, str]]:
    found = []
    for match in HERTZ.finditer(text):
        value = float(match[1].replace(",", ".")) * (1000 if match[2][0] in "kK" else 1)
        found.append((value, match[0]))
    for match in EVERY.finditer(text):
        unit = "ms" if match[2].lower() == "ms" else match[2][0].lower()
        if float(match[1]) > 0:
            found.append((float(f"{1 / (float(match[1]) * SECONDS[unit]):.6g}"), match[0]))
    return [(rate, words) for rate, words in found if 0 < rate <= MOST]
