"""A folder whose contents change in one step: at any moment, and after any kill, it holds all of the old pieces or all of the new ones.

The new pieces are made in a folder beside it, which then takes its place: where there is nothing yet, by a rename; where there is
something, by an exchange of the two names, which Linux and macOS do in one step. Other files of the folder go along. Where names cannot be
exchanged, the pieces are moved one by one under a note of what is to be done, and whoever comes next finishes it.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sandgrain.base import claims, files, reading

NOTE = ".sandgrain-commit"  # in a folder whose pieces are being moved
_PIECE = re.compile(r"\w{1,80}(\.[ch])?")  # what a note may name
_HERE = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextmanager
def draft(out: Path) -> Iterator[Path]:
    """A new folder beside `out` to make its pieces in. It is gone after the block, and so is what killed processes left there.

    Raises OSError.
    """
    settle(out)
    place = _real(out)
    beside = next(p for p in place.parents if p.is_dir())  # parents that are missing are made at the end
    work, lock = beside / claims.name(_prefix(place)), -1
    try:  # the folder is made inside, so that an interrupt at any point removes it
        work.mkdir()
        lock = claims.hold(work)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        claims.release(lock)


def commit(work: Path, out: Path, old: Sequence[str], new: Sequence[str]) -> None:
    """Put the pieces `new` of a draft into `out`, and take the pieces `old` out of it. Raises OSError."""
    place = _real(out)
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        work.rename(place)
    elif _is_inside(place) or not _takes_its_place(work, place, {*old, *new}):
        _commit_inside(work, place, {"old": [*old], "new": [*new]})


def _takes_its_place(work: Path, place: Path, pieces: set[str]) -> bool:
    """Whether a draft could be put where the folder is."""
    shutil.copymode(place, work)
    if any(place.iterdir()):
        _bring(place, work, pieces)
        return _exchange(work, place)
    try:
        work.rename(place)
    except OSError:  # a disk is mounted there, or this is Windows
        return False
    return True


def _commit_inside(work: Path, place: Path, pieces: dict[str, list[str]]) -> None:
    """The pieces are brought into the folder under another name, then moved one by one."""
    inner = place / claims.name(_prefix(place))
    lock = -1
    try:
        inner.mkdir()
        lock = claims.hold(inner)
        for piece in pieces["new"]:
            _copy(work / piece, inner / piece)
        note = {"from": inner.name, **pieces}
        with files.atomic(place / NOTE) as file:
            file.write(json.dumps(note).encode())
        _move(place, note)
    finally:
        if not (place / NOTE).exists():  # otherwise the next one finishes with it
            shutil.rmtree(inner, ignore_errors=True)
        claims.release(lock)


def settle(out: Path) -> None:
    """Finish what a killed process was moving into `out`, and remove what others left there and beside it. Raises OSError."""
    place = _real(out)
    prefix = _prefix(place)
    note = _note(place, prefix)
    if note is not None:
        inner = place / note["from"]
        if inner.is_dir() and not claims.is_abandoned(inner, prefix):
            return
        _move(place, note)
    claims.remove_abandoned(place, prefix)
    files.remove_drafts(place)
    beside = next((p for p in place.parents if p.is_dir()), None)
    if beside is not None:
        claims.remove_abandoned(beside, prefix)


def _real(out: Path) -> Path:
    """The folder that `out` names: a link to a folder stays a link."""
    return out.resolve() if out.is_symlink() else Path(os.path.normpath(out.absolute()))


def _prefix(place: Path) -> str:
    return f".{place.name}."


def _is_inside(place: Path) -> bool:
    """Whether the working directory is `place` or below: the user's shell would find itself in a folder that is gone."""
    try:
        return Path.cwd().is_relative_to(place.resolve())
    except OSError:
        return False


def _bring(place: Path, work: Path, pieces: set[str]) -> None:
    """Put what is in `place` beside the pieces into `work` too."""
    for path in place.iterdir():
        if path.name not in pieces:
            _copy(path, work / path.name)


def _copy(source: Path, target: Path) -> None:
    """The same file, or folder with its files, in another place."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, copy_function=_link)
    else:
        _link(source, target)


def _link(source: Any, target: Any) -> None:
    """The same file under another name; a copy where the disk has no such links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> bool:
    """Give two folders each other's names, in one step; False where this system or disk cannot."""
    names = [os.fsencode(one), os.fsencode(other)]
    library: Any = ctypes.CDLL(None) if os.name == "posix" else None
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return not library.renamex_np(*names, _EXCHANGE)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        return not library.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)
    return False


def _move(place: Path, note: dict[str, Any]) -> None:
    """What a note says; what of it is done already is left. (A piece that is there is new, unless it still lies in the inner folder.)"""
    inner = place / note["from"]
    for piece in note["old"]:
        if piece not in note["new"]:
            claims.remove(place / piece)
    for piece in note["new"]:
        if (inner / piece).exists():
            claims.remove(place / piece)
            (inner / piece).rename(place / piece)
    (place / NOTE).unlink(missing_ok=True)
    shutil.rmtree(inner, ignore_errors=True)


def _note(place: Path, prefix: str) -> dict[str, Any] | None:
    """The note in a folder, None where there is none. A note may come from a stranger: it names nothing outside."""
    path = place / NOTE
    try:
        note = reading.read_json(path)
        pieces = [*note["old"], *note["new"]]
        source = note["from"]
        known = source.startswith(prefix) and re.fullmatch(claims.REST, source[len(prefix) :])
        if known and all(_PIECE.fullmatch(piece) for piece in pieces):
            return {"from": source, "old": [*note["old"]], "new": [*note["new"]]}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        pass
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return None
