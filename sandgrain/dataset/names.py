"""Names from outside: shown escaped, matched without backtracking, and turned into labels, groups and splits."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sandgrain.base.errors import UsageError
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import SPLITS, Layout

PROJECT_FILE = "sandgrain.toml"  # may lie beside the data
PACKED = ".gz"  # behind the suffix of a text file that gzip has packed
MAX_LABEL = 100  # characters of a label or group
# Categories of characters that nobody sees: control, format, surrogate, private, unassigned, line and paragraph ends.
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
} | {split: split for split in SPLITS}
KEY = re.compile(r"(.+)#([1-9][0-9]{0,6})", re.DOTALL | re.ASCII)
COUNTING = frozenset({"index", "take", "number", "repetition", "trial", "sample"})  # placeholders of which digits are expected
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def escape(text: str, limit: int = 200) -> str:
    """`text` as one line of printable ASCII: every other character, and the backslash, as \\n, \\xNN, \\uNNNN."""
    safe = text.encode("unicode_escape").decode("ascii")
    return safe if len(safe) <= limit else f"{safe[: limit // 2 - 2]}...{safe[-(limit // 2 - 1) :]}"


def unseen(text: str) -> set[str]:
    """The categories of the characters in `text` that nobody sees."""
    return set() if text.isascii() and text.isprintable() else {unicodedata.category(ch) for ch in text} & UNSEEN


def problem(path: str) -> str:
    """Why a path below the root cannot be the name of a recording, or ""."""
    found = unseen(path)
    if "Cs" in found:
        return "its name is not UTF-8"
    if "Cc" in found:
        return "its name holds control characters"
    if found:
        return "its name holds characters that cannot be seen"
    return "its name ends as the key of a recording within a file does" if split_key(path)[1] else ""


def ending(path: str) -> str:
    """What a name ends in: ".csv", or ".csv.gz" of a packed file; "" where there is no suffix."""
    stem, last = posixpath.splitext(path)
    return posixpath.splitext(stem)[1] + last if last.lower() == PACKED else last


def suffix(path: str) -> str:
    """`ending` in small letters."""
    return ending(path).lower()


def stem(path: str) -> str:
    """The path without its `ending`."""
    return path.removesuffix(ending(path))


def make_key(path: str, index: int) -> str:
    """A record's key: the path, with "#3" behind it for the third recording of a file that holds several."""
    return f"{path}#{index}" if index else path


def split_key(key: str) -> tuple[str, int]:
    """The path and index of a key; index 0 where the file is one recording."""
    found = KEY.fullmatch(key) if "#" in key else None
    return (found[1], int(found[2])) if found else (key, 0)


def clean(text: str, what: str) -> str:
    """A label or group in composed form (NFC) without space around it. Raises BadFileError for one nobody can read."""
    text = unicodedata.normalize("NFC", text[: 4 * MAX_LABEL]).strip()
    if len(text) > MAX_LABEL:
        raise BadFileError(f"its {what} is longer than {MAX_LABEL} characters")
    if unseen(text):
        raise BadFileError(f"its {what} {escape(text, 40)} holds characters that cannot be seen")
    return text


def named(label: str, words: Sequence[str]) -> str:
    """The word for a label that is a number from 0, where there is one."""
    known = label.isdecimal() and len(label) < 9 and int(label) < len(words)
    return words[int(label)] or label if known else label


def split_of(text: str) -> str:
    """One of SPLITS for what people call it. Raises BadFileError."""
    if text.lower() not in ALIASES:
        raise BadFileError(f"its split {escape(text, 40)} is none of {', '.join(SPLITS)}")
    return ALIASES[text.lower()]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A name pattern: for each part between slashes, what is literal, and the placeholders between those.

    `longest`: for each part, the placeholder that takes what the others leave, where a name can be read in several ways: -1 for
    the last one, or the first where only so those that count stand for digits.
    """

    text: str
    parts: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    longest: tuple[int, ...] = ()

    def match(self, path: str) -> dict[str, str] | None:
        """What the placeholders stand for in a path (with its suffix), or None where it does not fit."""
        pieces = stem(path).split("/")
        if len(pieces) != len(self.parts):
            return None
        found: dict[str, str] = {}
        for k, (piece, (literals, names)) in enumerate(zip(pieces, self.parts, strict=True)):
            longest = self.longest[k] if self.longest else -1
            values = read_with(piece, literals, longest if longest >= 0 else len(names) - 1)
            if values is None:
                return None
            if longest < 0 and not _counted(names, values):  # boat_pose_1 by {label}_{index}: the number is at the end
                other = read_with(piece, literals, 0) or values
                values = other if _counted(names, other) else values
            found.update(zip(names, values, strict=True))
        return found


def read_with(piece: str, literals: Sequence[str], longest: int) -> list[str] | None:
    """The texts between the literals: as short as can be, but for number `longest`, which gets the rest; None where it does not fit."""
    if len(literals) < 3 or longest == len(literals) - 2:
        return _between(piece, literals)
    backwards = _between(piece[::-1], [text[::-1] for text in reversed(literals)])
    if backwards is None:
        return None
    tail = [text[::-1] for text in reversed(backwards)][longest + 1 :]
    end = len(piece) - len(literals[-1]) - sum(map(len, tail)) - sum(map(len, literals[longest + 1 : -1]))
    head = _between(piece[:end], [*literals[: longest + 1], ""])
    return [*head, *tail] if head else None


def _counted(names: Sequence[str], values: Sequence[str]) -> bool:
    """Whether every placeholder that counts stands for digits."""
    return all(value.isdigit() for name, value in zip(names, values, strict=True) if name in COUNTING)


def compile_pattern(text: str) -> Pattern:
    """The pattern of `Layout.name`. Raises UsageError."""
    names = PLACEHOLDER.findall(text)
    if not all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names) or set("{}") & set(PLACEHOLDER.sub("", text)):
        raise UsageError(f"name {escape(text)!r}: a placeholder is lower-case letters, digits and _, in braces: {{label}}")
    if len(set(names)) < len(names):
        raise UsageError(f"name {escape(text)!r} has a placeholder twice; call one of them otherwise")
    if "}{" in text:
        raise UsageError(f"name {escape(text)!r}: two placeholders need something between them, such as _")
    parts = tuple((tuple(PLACEHOLDER.split(p)[::2]), tuple(PLACEHOLDER.findall(p))) for p in text.split("/"))
    return Pattern(text, parts)


def _between(piece: str, literals: Sequence[str]) -> list[str] | None:
    """The texts between the literals, each as short as can be, none empty. Linear: the first place that fits is taken."""
    first, *middle = literals
    if not piece.startswith(first):
        return None
    if not middle:
        return [] if piece == first else None
    values, at = [], len(first)
    for literal in middle[:-1]:
        end = piece.find(literal, at + 1)
        if end < 0:
            return None
        values.append(piece[at:end])
        at = end + len(literal)
    end = len(piece) - len(middle[-1])
    if end <= at or not piece.endswith(middle[-1]):
        return None
    return [*values, piece[at:end]]


def wanted(path: str, layout: Layout, suffixes: Sequence[str]) -> bool:
    """Whether a path below the root is one of the data set's files: by the layout's patterns, or by its suffix."""
    seen = "".join(ch for ch in path if not unseen(ch)).rstrip() if unseen(path) else path
    if not layout.files:
        return seen.lower().endswith(tuple(suffixes))
    return fits(seen, layout.files)


def fits(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path below the root fits one of the patterns."""
    return any(_glob(pattern.split("/"), path.split("/")) for pattern in patterns)


def _glob(pattern: list[str], parts: list[str]) -> bool:
    """Whether the parts of a path fit a pattern; "**" stands for any number of folders."""
    reach = {0}  # how many parts the pattern so far can have eaten
    for piece in pattern:
        if piece == "**":
            reach = set(range(min(reach), len(parts)))
        else:
            reach = {k + 1 for k in reach if k < len(parts) and fnmatch.fnmatchcase(parts[k], piece)}
        if not reach:
            return False
    return len(parts) in reach


@dataclass(frozen=True, slots=True)
class Place:
    """What a file's name and the labels file say about its recordings; None where they are silent."""

    label: str | None = None
    group: str | None = None
    split: str | None = None
    fields: tuple[tuple[str, str], ...] = ()


def place_of(path: str, layout: Layout, pattern: Pattern | None, listed: dict[str, Place] | None) -> Place:
    """What is known about a file from outside of it. Raises BadFileError."""
    if why := problem(path):
        raise BadFileError(why)
    found = pattern.match(path) if pattern else {}
    given = listed.get(path) if listed is not None else None
    if listed is not None and given is None:
        raise BadFileError(f"{escape(layout.labels, 60)} does not name it")
    if found is None:
        if given is None:
            raise BadFileError(f"its name does not fit {escape(layout.name)}")
        found = {}
    by_name = Place(
        clean(found["label"], "label") if "label" in found else None,
        clean(found["group"], "group") if "group" in found else None,
        split_of(found["split"]) if "split" in found else None,
        tuple((name, text) for name, text in found.items() if name not in ("label", "group", "split")),
    )
    return by_name if given is None else over(given, by_name)


def over(given: Place, by_name: Place) -> Place:
    """What an index file says, and what the name says where it is silent."""
    return Place(
        by_name.label if given.label is None else given.label,
        given.group or by_name.group,
        given.split or by_name.split,
        tuple({**dict(by_name.fields), **dict(given.fields)}.items()),
    )
