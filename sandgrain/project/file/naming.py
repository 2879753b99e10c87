"""What the names of files say: folders of classes, or speaking names; and who or what recordings that belong together are of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandgrain.dataset.names import stem
from sandgrain.project.file import people
from sandgrain.project.file.people import GROUP, GROUP_WORDS, SPLIT_WORDS

NUMBER = re.compile(r"(.*?)([0-9]{1,12})")
MARKS = "_-. "
MAX_PIECES = 8
COUNTED = 20  # files of a folder, at least, whose numbers tell an order
DENSE = 10  # numbers that there may be for each file: pictures are thrown away, but most of them are no count
MAX_TAKES = 12  # words that tell the takes of a label apart


@dataclass(frozen=True, slots=True)
class Named:
    """A pattern for names without their folder, and what its placeholders stand for. `why`: why there is a group."""

    pattern: str
    groups: frozenset[str]
    labels: frozenset[str]
    why: str = ""


def naming(names: Sequence[str]) -> dict[str, Any]:
    """`name`, `labels`, `groups`, `has_split`, `notes` as far as relative posix paths tell: folders of classes, with or without
    train/test above them, or one folder of speaking names."""
    parts = [stem(n).split("/") for n in names]
    depth = Counter(len(p) for p in parts).most_common(1)[0][0]
    usual = [p for p in parts if len(p) == depth]
    if depth >= 2 and (people_of := people.folders(usual)):
        known = Named("", people_of.groups, frozenset(people_of.labels), people_of.why)
        return {"name": people_of.pattern, "labels": people_of.labels, "has_split": people_of.has_split, **_said(known)}
    if depth >= 2 and {p[0].lower() for p in usual} <= SPLIT_WORDS and depth >= 3:
        given = {p[0] for p in usual} <= {"train", "test", "validation"}
        first = "{split}" if given else "{side}"
        labels = tuple(sorted({p[1] for p in usual}))
        return {"name": "/".join([first, "{label}", *_rest(depth - 2)]), "labels": labels, "has_split": given}
    if depth >= 2:
        labels = tuple(sorted({p[0] for p in usual}))
        stems = [p[-1] for p in usual]
        speaker = all(re.fullmatch(r"[0-9a-f]{8}_nohash_\d+", s) for s in stems)
        found: Named | None
        if speaker and depth == 2:  # Speech Commands: the first eight digits are the speaker
            found = Named(
                "{group}_nohash_{index}", frozenset(s[:8] for s in stems), frozenset(), "as Speech Commands names speakers"
            )
        else:
            found = grouped(stems, [p[0] for p in usual])
        if found and found.groups:
            folders = [f"{{folder{k}}}" if k else "{folder}" for k in range(depth - 2)]
            return {"name": "/".join(["{label}", *folders, found.pattern]), "labels": labels, **_said(found)}
        middle = sorted({p[1] for p in usual}) if depth >= 3 else []
        if 3 <= len(middle) <= len(usual) // 2 and not all(re.fullmatch(r"\d+", m) and len(m) > 4 for m in middle):
            own = Named("", frozenset(middle), frozenset(), "the second folder repeats")
            return {"name": "/".join(["{label}", "{group}", *_rest(depth - 2)]), "labels": labels, **_said(own)}
        return {"name": "/".join(["{label}", *_rest(depth - 1)]), "labels": labels}
    return speaking([p[0] for p in usual])


def _rest(count: int) -> list[str]:
    return [*(f"{{folder{k}}}" if k else "{folder}" for k in range(count - 1)), "{index}"]


def _said(found: Named) -> dict[str, Any]:
    """The groups as fields of `look.Look`, with a sentence about them."""
    some = sorted(found.groups)
    shown = ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
    note = f"groups: {shown} ({found.why}); if they are no speakers, subjects or devices, take {{group}} out of name and split by file"
    return {"groups": len(some), "notes": (note,)}


def grouped(stems: Sequence[str], labels: Sequence[str]) -> Named | None:
    """The group in names of files that lie in folders of labels: s01_03, machine1_00, user_alice_3; None where none repeats."""
    for mark in MARKS:
        rows = _rows(stems, mark)
        if rows is None:
            continue
        columns = list(zip(*rows, strict=True))
        index = _index(columns)
        best = max(
            (k for k in range(len(columns)) if k != index and _is_group(columns[k], labels)),
            key=lambda k: _weight(columns, k),
            default=None,
        )
        if best is None:
            continue
        pieces = _pieces(columns, {best: "{group}"} | ({} if index is None else {index: "{index}"}))
        return Named(mark.join(pieces), frozenset(columns[best]), frozenset(), _why(columns, best, mark))
    return _letters(stems, labels)


def _rows(stems: Sequence[str], mark: str) -> list[list[str]] | None:
    """The pieces between marks, where all names have as many of them."""
    rows = [s.split(mark) for s in stems]
    widths = {len(r) for r in rows}
    return rows if len(widths) == 1 and 2 <= len(rows[0]) <= MAX_PIECES and all(all(r) for r in rows) else None


def _index(columns: Sequence[Sequence[str]]) -> int | None:
    """The last piece where it is of digits; else the piece of digits that takes the most values."""
    if all(v.isdigit() for v in columns[-1]) and len(set(columns[-1])) > 1:
        return len(columns) - 1
    digits = (k for k in range(len(columns)) if all(v.isdigit() for v in columns[k]))
    return max(digits, key=lambda k: (len(set(columns[k])), k), default=None)


def _is_group(column: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether the values of a piece repeat, and do not merely say the label again."""
    values = set(column)
    if not 2 <= len(values) <= len(column) / 2:
        return False
    pairs = set(zip(column, labels, strict=True))
    again = len(pairs) == len(values) == len(set(labels)) and len(values) > 1 and not all(GROUP.fullmatch(v) for v in values)
    return not again


def _weight(columns: Sequence[Sequence[str]], k: int) -> tuple[bool, bool, int]:
    """How likely a piece is the group: it says so, or the piece before it does; it has letters; it is an early one."""
    before = k > 0 and len(set(columns[k - 1])) == 1 and columns[k - 1][0].lower() in GROUP_WORDS
    says = all(GROUP.fullmatch(v) for v in columns[k])
    return says or before, not all(v.isdigit() for v in columns[k]), -k


def _why(columns: Sequence[Sequence[str]], k: int, mark: str) -> str:
    where = "the first piece" if k == 0 else "the last piece" if k == len(columns) - 1 else f"piece {k + 1}"
    return f"{where} of the names between {mark!r} repeats"


def _pieces(columns: Sequence[Sequence[str]], known: dict[int, str]) -> list[str]:
    """A pattern's pieces: placeholders, or the text itself where it never changes."""
    made, extra = [], 0
    for k, column in enumerate(columns):
        if k in known:
            made.append(known[k])
        elif len(set(column)) == 1 and re.fullmatch(r"[\w ]+", column[0]):
            made.append(column[0])
        else:
            extra += 1
            made.append(f"{{part{extra}}}")
    return made


LETTERED = re.compile(r"([A-Za-z]+)(\d+)([A-Za-z]+)(\d+)")


def _letters(stems: Sequence[str], labels: Sequence[str]) -> Named | None:
    """Names such as s01t03: letters that stay, and numbers."""
    found = [LETTERED.fullmatch(s) for s in stems]
    if not found or any(f is None for f in found):
        return None
    rows = [f.groups() for f in found if f]
    one, first, two, _ = (list(c) for c in zip(*rows, strict=True))
    if len(set(one)) > 1 or len(set(two)) > 1 or not _is_group([one[0] + f for f in first], labels):
        return None
    return Named(f"{one[0]}{{group}}{two[0]}{{index}}", frozenset(first), frozenset(), f"the number behind {one[0]!r} repeats")


def speaking(stems: Sequence[str]) -> dict[str, Any]:
    """Names such as 7_jackson_32: the pieces that repeat are label and group, the piece that counts is the index.

    Labels may be of several pieces (boat_pose_1, plank_2): then everything before the number is the label, or everything before
    the group, where one is found.
    """
    for mark in MARKS:
        rows = [s.split(mark) for s in stems]
        width = Counter(map(len, rows)).most_common(1)[0][0]
        if width < 2 or width > MAX_PIECES or sum(len(r) == width for r in rows) < 0.95 * len(rows):
            if several := _several(rows, mark):
                return several
            continue
        columns = list(zip(*(r for r in rows if len(r) == width), strict=True))
        distinct = [len(set(c)) for c in columns]
        index = _index(columns)
        varied = [k for k in range(width) if k != index and 2 <= distinct[k] <= max(2, len(stems) // 2)]
        if not varied:
            continue
        label = next((k for k in varied if not _says_group(columns, k)), None)
        if label is None:
            continue
        marks = [columns[label][n] for n in range(len(columns[label]))]
        others = [k for k in varied if k != label and _is_group(columns[k], marks)]
        group = max(others, key=lambda k: _weight(columns, k), default=None)
        if group is not None and _weight(columns, group)[:2] == (False, False) and index is None:
            group = None
        if group is None and label + 1 in varied and _always_together(columns, label):
            return _several(rows, mark) or {}
        known = (
            {label: "{label}"}
            | ({group: "{group}"} if group is not None else {})
            | ({index: "{index}"} if index is not None else {})
        )
        labels = tuple(sorted(set(columns[label])))
        found = {"name": mark.join(_pieces(columns, known)), "labels": labels}
        if group is None:
            return {**found, "groups": 0}
        return {**found, **_said(Named("", frozenset(columns[group]), frozenset(labels), _why(columns, group, mark)))}
    return {}


def _says_group(columns: Sequence[Sequence[str]], k: int) -> bool:
    return _weight(columns, k)[0]


def _always_together(columns: Sequence[Sequence[str]], label: int) -> bool:
    """Whether the piece behind the label only ever comes with it, as in boat_pose."""
    pairs = set(zip(columns[label], columns[label + 1], strict=True))
    return len(pairs) == len(set(columns[label + 1])) == len(set(columns[label])) or len(pairs) == len(set(columns[label]))


def _takes(rows: Sequence[Sequence[str]], mark: str) -> dict[str, Any]:
    """Labels of one or more pieces before a word of one small vocabulary, which each label has all of: boat_pose_left, plank_left."""
    if mark == "." or not all(len(r) >= 2 and all(r) for r in rows):
        return {}
    takes: dict[str, set[str]] = {}
    for r in rows:
        takes.setdefault(mark.join(r[:-1]), set()).add(r[-1])
    sets = {frozenset(t) for t in takes.values()}
    if len(takes) < 2 or len(sets) != 1 or not 2 <= len(next(iter(sets))) <= MAX_TAKES:
        return {}
    return {"name": f"{{label}}{mark}{{take}}", "labels": tuple(sorted(takes)), "groups": 0}


def _several(rows: Sequence[Sequence[str]], mark: str) -> dict[str, Any]:
    """Labels of one or more pieces before a number: {label}_{index}, or {label}_{group}_{index}."""
    if mark == "." or not all(len(r) >= 2 and r[-1].isdigit() for r in rows):
        return _takes(rows, mark)
    if all(len(r) >= 3 for r in rows):
        heads, groups = [mark.join(r[:-2]) for r in rows], [r[-2] for r in rows]
        pairs, values = set(zip(heads, groups, strict=True)), set(groups)
        crossed = len(pairs) > max(len(set(heads)), len(values)) and 2 <= len(values) <= len(rows) / 2
        if crossed and 2 <= len(set(heads)) <= len(rows) / 2:
            own = Named("", frozenset(values), frozenset(heads), "the piece before the number repeats with several labels")
            return {"name": mark.join(("{label}", "{group}", "{index}")), "labels": tuple(sorted(set(heads))), **_said(own)}
    heads = [mark.join(r[:-1]) for r in rows]
    if not 2 <= len(set(heads)) < len(rows):
        return {}
    return {"name": f"{{label}}{mark}{{index}}", "labels": tuple(sorted(set(heads))), "groups": 0}


def counted(names: Sequence[str]) -> bool:
    """Whether files are numbered, as a camera does: img_0001, img_0002; in each folder, or through all of them. Gaps may be among them."""
    folders: dict[str, list[int]] = {}
    heads = set()
    for name in names:
        folder, _, last = stem(name).rpartition("/")
        found = NUMBER.fullmatch(last)
        if found is None:
            return False
        folders.setdefault(folder, []).append(int(found[2]))
        heads.add(found[1])
    if len(heads) != 1 or min(map(len, folders.values())) < COUNTED:
        return False
    return all(map(_dense, folders.values())) or _dense([n for numbers in folders.values() for n in numbers])


def _dense(numbers: Sequence[int]) -> bool:
    """Whether no number is there twice, and they lie close together."""
    return len(set(numbers)) == len(numbers) and max(numbers) - min(numbers) < DENSE * len(numbers)
