"""Files of one folder that change together, such as NAME.cc and NAME.h: a failure leaves the old ones, and a kill is made good by the next run.

No system replaces two files in one step. The new ones are written under names of their own, a note says which is to take which place, and
then they are moved. An error on the way puts the old ones back. Of a killed process the note stays; `settle` goes by it to the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sandgrain.base import claims, files, reading
from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable


def write_all(made: Mapping[Path, bytes]) -> None:
    """Write each path's bytes, all in one folder: all new files, or the old ones stay. Raises UsageError, in one line, naming the path."""
    first = path = next(iter(made))
    drafts: dict[Path, Path] = {}
    try:
        settle(first)
        for path in made:
            claims.remove_abandoned(path.parent, f".{path.name}.")
            drafts[path] = path.with_name(claims.name(f".{path.name}."))
        for path, draft in drafts.items():
            if path.is_dir():
                raise IsADirectoryError(None, "it is a folder")
            draft.write_bytes(made[path])
        if len(made) == 1:
            drafts[first].replace(first)
        else:
            _move_all(drafts)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise UsageError(f"-o {printable(str(path), 200)}: {reason}; name a file that can be written") from None
    finally:
        _remove(drafts.values())


def settle(first: Path) -> None:
    """Finish what a killed process was moving, of files whose first one is `first`. Raises OSError."""
    note = _note(first)
    files.remove_drafts(first.parent)
    try:
        pairs = [(first.with_name(draft), first.with_name(name)) for draft, name in reading.read_json(note).items()]
        fits = all(d.parent == n.parent == first.parent and _is_draft_of(d, n) for d, n in pairs)
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, AttributeError):
        pairs, fits = [], False
    if fits and claims.is_held(note):
        return
    for draft, path in pairs if fits else ():
        with suppress(FileNotFoundError):  # it has been moved
            draft.replace(path)
    note.unlink(missing_ok=True)


def _move_all(drafts: Mapping[Path, Path]) -> None:
    """Move drafts to their places under a note; where one cannot be moved, the old files are put back. Raises OSError."""
    note, lock = _note(next(iter(drafts))), -1
    old: dict[Path, Path] = {}
    try:
        for path in drafts:
            if path.exists():
                old[path] = path.with_name(claims.name(f".{path.name}."))
                _link(path, old[path])
        with files.atomic(note) as file:
            file.write(json.dumps({draft.name: path.name for path, draft in drafts.items()}).encode())
        lock = claims.hold(note)
        moved: list[Path] = []
        try:
            for path, draft in drafts.items():
                draft.replace(path)
                moved.append(path)
        except BaseException:
            for path in moved:
                old[path].replace(path) if path in old else path.unlink()
            raise
        finally:
            note.unlink(missing_ok=True)
    finally:
        claims.release(lock)
        _remove(old.values())


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the disk has no such links."""
    try:
        os.link(source, target)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target)


def _note(first: Path) -> Path:
    return first.with_name(f"{files.DRAFT}commit-{first.name}")


def _is_draft_of(draft: Path, path: Path) -> bool:
    """A note may come from a stranger: it moves nothing but what we wrote."""
    prefix = f".{path.name}."
    return draft.name.startswith(prefix) and re.fullmatch(claims.REST, draft.name[len(prefix) :]) is not None


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError, ValueError):  # its folder is no folder: then it was never made
            path.unlink(missing_ok=True)
