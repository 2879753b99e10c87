"""Names that a pattern can read in several ways: boat_pose_1 by {label}_{take}. All names together say which is meant.

boat_pose_1, boat_pose_2, plank_1, plank_2
{label} = boat, plank          {take} = pose_1, pose_2, 1, 2     the labels have other takes: unlikely
{label} = boat_pose, plank     {take} = 1, 2                     each label has the same takes, and fewer words say it all
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sandgrain.dataset.names import COUNTING, Pattern, escape, read_with, stem

COUNTED = 0.95  # share of names in which what counts must be digits, for a reading in which it is
MAX_WAYS = 6  # placeholders of a part whose readings are compared
Values = list[list[str]]


def settle(pattern: Pattern, paths: Sequence[str]) -> tuple[Pattern, tuple[str, str] | None]:
    """(the pattern with the reading that suits all names best, (a path, what its name could be as well) or None where no name is ambiguous).

    A reading gives what is left over to one of the placeholders. First come those in which what counts is digits, then those in
    which each label has the same of the others, then those of the fewest words.
    """
    longest, said = [], None
    for k, (literals, names) in enumerate(pattern.parts):
        here = [p for p in paths if p.count("/") + 1 == len(pattern.parts)]
        pieces = [stem(p).split("/")[k] for p in here]
        choice, other, example = _part(literals, names, pieces)
        longest.append(choice)
        if example >= 0 and said is None:
            ways = [_words(names, read_with(pieces[example], literals, way) or []) for way in (choice, other)]
            said = (
                here[example],
                f"its name is ambiguous by {escape(pattern.text, 60)}: taken as {ways[0]}, by all names; it could be {ways[1]}",
            )
    return (replace(pattern, longest=tuple(longest)), said) if said else (pattern, None)


def _part(literals: Sequence[str], names: Sequence[str], pieces: Sequence[str]) -> tuple[int, int, int]:
    """(the best reading or -1, the next best, the first piece in which they differ or -1)."""
    if not 2 <= len(names) <= MAX_WAYS:
        return -1, -1, -1
    readings: dict[int, Values] = {}
    for way in reversed(range(len(names))):  # the last is what is usual, and wins where nothing speaks against it
        found = [read_with(piece, literals, way) for piece in pieces]
        values = [v or [] for v in found]
        if any(values) and values not in readings.values():
            readings[way] = values
    if len(readings) < 2:
        return -1, -1, -1
    ranked = sorted(readings, key=lambda way: (_cost(names, readings[way]), -way))
    best, other = ranked[:2]
    return best, other, next(k for k, (a, b) in enumerate(zip(readings[best], readings[other], strict=True)) if a != b)


def _cost(names: Sequence[str], values: Values) -> tuple[bool, bool, int]:
    """Smaller is likelier: (whether what counts is no digits, whether labels have different takes, words in all)."""
    rows = [v for v in values if v]
    counts = [k for k, name in enumerate(names) if name in COUNTING]
    digits = sum(all(row[k].isdigit() for k in counts) for row in rows)
    words = sum(len({row[k] for row in rows}) for k in range(len(names)))
    unequal = True
    if "label" in names:
        k = names.index("label")
        takes: dict[str, set[tuple[str, ...]]] = {}
        for row in rows:
            takes.setdefault(row[k], set()).add((*row[:k], *row[k + 1 :]))
        unequal = len(takes) < 2 or len({frozenset(t) for t in takes.values()}) > 1
    return digits < COUNTED * len(rows), unequal, words


def _words(names: Sequence[str], values: Sequence[str]) -> str:
    return ", ".join(f"{name} {escape(value, 40)}" for name, value in zip(names, values, strict=False))
