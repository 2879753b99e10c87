"""Folders of people or devices: subj3/fall_7/rec.csv. Their names say so themselves, and several labels lie in each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SPLIT_WORDS = frozenset({"train", "training", "test", "testing", "validation", "val"})
GROUP = re.compile(
    r"(speaker|spk|subject|subj|sub|user|usr|person|participant|patient|volunteer|device|dev|machine|mach|motor|pump|fan|bearing|session|sess|id|rig|"
    r"unit|s|p|u|m|d)[-_ ]?\d{1,4}",
    re.IGNORECASE,
)  # pieces that say themselves that they are a group: s01, machine1
GROUP_WORDS = frozenset(GROUP.pattern[1 : GROUP.pattern.index(")")].split("|"))
NAMED = re.compile(r"([A-Za-z]{2,})[-_ ]\w+")  # subject_alice
NUMBERED = re.compile(r"(.*?[^\d\-_. ])([-_. ]?)\d+")  # fall_7


@dataclass(frozen=True, slots=True)
class OfPeople:
    """A pattern for whole paths, and what its placeholders stand for. `why`: why there is a group."""

    pattern: str
    groups: frozenset[str]
    labels: tuple[str, ...]
    why: str
    has_split: bool


def folders(parts: Sequence[Sequence[str]]) -> OfPeople | None:
    """What paths of one depth say whose folders hold people or devices; None where no level does, or where labels do not repeat below it.

    `parts`: the folders of each path, and its name without suffix.
    """
    for level in range(len(parts[0]) - 1):
        column = [p[level] for p in parts]
        groups = frozenset(column)
        if not all(map(says, groups)):
            continue
        rest = [[*p[:level], *p[level + 1 :]] for p in parts]
        found = _labelled(rest, column, lettered=True) or _labelled(rest, column, lettered=False)
        if found is None:
            continue
        pieces, labels = found
        if len(groups) > 1 and len(set(zip(labels, column, strict=True))) <= max(len(groups), len(set(labels))):
            continue  # each has labels of its own
        pieces.insert(level, "{group}")
        where = ("first", "second", "third")[level] if level < 3 else f"{level + 1}th"
        why = f"the {where} folder says so, and several labels lie in each"
        return OfPeople("/".join(pieces), groups, tuple(sorted(set(labels))), why, "{split}" in pieces)
    return None


def says(name: str) -> bool:
    """Whether a folder's name says that it is somebody's: s01, subject_alice."""
    word = NAMED.fullmatch(name)
    return bool(GROUP.fullmatch(name)) or (word is not None and word[1].lower() in GROUP_WORDS)


def _labelled(parts: Sequence[Sequence[str]], groups: Sequence[str], *, lettered: bool) -> tuple[list[str], list[str]] | None:
    """(a pattern's piece for each level, the label of each path); None where no level says one.

    The label is of the first level that takes few values, without the number behind it where there is one. `lettered`: a label has a
    letter. `groups`: of each path, which its name may begin with once more.
    """
    pieces: list[str] = []
    labels: list[str] = []
    last = len(parts[0]) - 1
    for level in range(last + 1):
        column = [p[level] for p in parts]
        if {v.lower() for v in column} <= SPLIT_WORDS and level < last:
            pieces.append("{split}" if set(column) <= {"train", "test", "validation"} else "{side}")
            continue
        begun = {v[len(g) : len(g) + 1] for v, g in zip(column, groups, strict=True) if v.startswith(g)}
        again = len(begun) == 1 and begun <= {"_", "-", ".", " "} and all(map(str.startswith, column, groups))
        mark = begun.pop() if again else ""
        told = [v[len(g) + 1 :] for v, g in zip(column, groups, strict=True)] if again else column
        piece, label = ("", column) if labels else _label(told, file=level == last, lettered=lettered)
        if piece:
            made = piece if level == last else piece.replace("{index}", "{take}")
            pieces.append(f"{{who}}{mark}{made}" if again else made)
            labels = list(label)
        else:
            pieces.append(f"{{folder{level}}}" if level < last else "{index}")
    return (pieces, labels) if labels else None


def _label(column: Sequence[str], *, file: bool, lettered: bool) -> tuple[str, Sequence[str]]:
    """(the piece of a pattern with the label, the label of each) where a level says it; else ("", ...). `file`: of the names of files, those
    that do nothing but count are no labels."""
    found = [NUMBERED.fullmatch(v) for v in column]
    heads, marks = [m[1] for m in found if m], {m[2] for m in found if m}
    counted = len(heads) == len(column)
    if counted and len(marks) == 1 and marks != {""} and 2 <= len(set(heads)) < len(set(column)):
        return f"{{label}}{marks.pop()}{{index}}", heads
    values = set(column)
    spoken = any(ch.isalpha() for v in values for ch in v)
    if (lettered and not spoken) or (file and (counted or not spoken)):
        return "", column
    return ("{label}", column) if 2 <= len(values) <= len(column) / 2 else ("", column)
