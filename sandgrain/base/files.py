"""Files and folders that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sandgrain.base import claims
from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain, printable

BUNDLE = "proof/build.json"  # what `bundle.store` writes into every folder that it makes
DRAFT = ".sandgrain-"  # how the names of files begin that are being written


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the name `path` when the block ends; if the block fails or is killed, the old file stays.

    Missing folders above it are made. Raises OSError.
    """
    draft, lock = None, -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / claims.name(DRAFT)
        with draft.open("x+b") as stream:
            lock = claims.hold(draft)
            yield stream
        draft.chmod(0o644)
        draft.replace(path)
    finally:
        if draft:
            draft.unlink(missing_ok=True)
        claims.release(lock)


def remove_drafts(folder: Path) -> None:
    """Remove the files that killed processes were writing in `folder`."""
    claims.remove_abandoned(folder, DRAFT)


@contextmanager
def output(path: Path, way_out: str = "") -> Iterator[IO[bytes]]:
    """`atomic` for a file that the user named: raises UsageError, in one line. `way_out`: what the user can do about it."""
    remove_drafts(path.parent)
    try:
        with atomic(path) as stream:
            yield stream
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{plain(path, 120)} cannot be written ({reason}){way_out and f'; {way_out}'}") from None


def check_writable(path: Path) -> None:
    """Make sure that `path` can be made or written: its nearest folder that exists takes a new one. Raises UsageError."""
    shown = printable(str(path), 200)
    try:
        beside = next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())
        remove_drafts(beside)
        trial = beside / claims.name(DRAFT)
        trial.mkdir()
        trial.rmdir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise UsageError(f"-o {shown} cannot be written ({reason}); name another place") from None


def check_file(path: Path) -> None:
    """Make sure, before any work, that the file `path` can be written: its folder exists and takes a new file. Raises UsageError."""
    try:
        reason = "it is a folder" if path.is_dir() else "" if path.absolute().parent.is_dir() else "No such file or directory"
        if not reason:
            remove_drafts(path.absolute().parent)
            trial = path.absolute().parent / claims.name(DRAFT)
            trial.mkdir()
            trial.rmdir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
    if reason:
        raise UsageError(f"-o {printable(str(path), 200)}: {reason}; name a file that can be written")


def check_output_folder(out: Path, ours: Callable[[Path], bool]) -> None:
    """Make sure that a command may write its files to the folder `out`, which need not exist yet.

    `ours`: asked about a folder that holds something: whether all of it may be replaced. Raises UsageError.
    """
    shown = printable(str(out))
    try:
        if "\0" in str(out):
            raise ValueError
        if out.exists() and not out.is_dir():
            raise UsageError(f"-o {shown} is a file; name a folder")
        if out.is_dir() and any(out.iterdir()) and not ours(out):
            raise UsageError(f"-o {shown} holds other files; name an empty or new folder")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise UsageError(f"-o {shown} cannot be used ({reason}); name another folder") from None


def is_bundle(folder: Path) -> bool:
    """Whether Sandgrain wrote this folder: C, and its proof. No recordings lie in it."""
    return (folder / BUNDLE).is_file()
