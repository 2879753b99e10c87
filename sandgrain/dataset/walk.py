"""What lies below a folder, and opening it: never outside, and only plain files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sandgrain.base.errors import UsageError
from sandgrain.base.files import is_bundle
from sandgrain.dataset.names import escape
from sandgrain.dataset.readers.base import MAX_FILE, BadFileError
from sandgrain.dataset.records import BadFile

MAX_FILES = 1 << 20  # of a data set: a million records take about a gigabyte
MAX_DEPTH = 32  # folders within folders
OUTSIDE = "leads outside the folder"
SPECIAL = {
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
    stat.S_IFDIR: "is a folder",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A plain file: its path below the root (posix), its size in bytes, and when it was changed."""

    path: str
    size: int
    mtime_ns: int


def walk(root: Path, wanted: Callable[[str], bool], links: Sequence[str] = ()) -> tuple[list[Found], list[BadFile]]:
    """The wanted files below `root`, sorted by path, and what was found that cannot be read.

    Names that begin with a dot are passed over, and so are bundles, which `sandgrain build` writes beside recordings. Links are followed when they lead to a file or folder below `root`, or are among
    `links`; but no link to a folder around itself, and no second one to the same folder. Raises UsageError for more than MAX_FILES files.
    """
    found = _Walk(os.path.realpath(root), wanted, tuple(links))
    while found.folders:
        folder = found.folders.pop()
        if folder and is_bundle(Path(found.base, folder)):
            continue
        try:
            with os.scandir(Path(found.base, folder)) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        found.take(entry, folder + entry.name)
        except OSError as error:
            found.bad.append(BadFile(escape(folder), f"cannot be listed ({error.strerror})"))
        if len(found.files) + len(found.bad) > MAX_FILES:
            raise UsageError(f"{escape(str(root))} holds more than {MAX_FILES} files; take a part of them with files = [...]")
    return sorted(found.files, key=lambda f: f.path), found.bad


@dataclass(slots=True)
class _Walk:
    """What was come across so far."""

    base: str  # the root's real path
    wanted: Callable[[str], bool]  # whether a path below the root is to be read
    links: tuple[str, ...]  # paths of links that may lead outside
    linked: set[str] = field(default_factory=set)  # folders that a link has led to
    files: list[Found] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=lambda: [""])  # below the root, still to be listed

    def take(self, entry: os.DirEntry[str], path: str) -> None:
        """Sort one entry into files, bad files, folders to come, or nothing."""
        if entry.is_dir(follow_symlinks=False):
            if path.count("/") >= MAX_DEPTH:
                self.bad.append(BadFile(escape(path), f"lies more than {MAX_DEPTH} folders deep"))
            else:
                self.folders.append(f"{path}/")
            return
        try:
            if entry.is_symlink():
                if not (entry.is_dir() or self.wanted(path)):
                    return
                self.check_link(entry, path)
            elif not self.wanted(path):
                return
            about = entry.stat()
            if stat.S_ISDIR(about.st_mode):
                self.folders.append(f"{path}/")
                return
            check_plain(about)
            self.files.append(Found(path, about.st_size, about.st_mtime_ns))
        except BadFileError as error:
            self.bad.append(BadFile(escape(path), str(error)))
        except OSError as error:
            what = "is a link that leads nowhere" if entry.is_symlink() else f"cannot be read ({error.strerror})"
            self.bad.append(BadFile(escape(path), what))

    def check_link(self, entry: os.DirEntry[str], path: str) -> None:
        """Raises BadFileError for a link that is not followed; of one to a folder it is kept where it leads to."""
        real = os.path.realpath(entry.path)
        if not (real == self.base or _inside(real, self.base) or _linked(path, self.links)):
            raise BadFileError(f"{OUTSIDE}; name it in links to follow it")
        if not entry.is_dir():
            return
        around = os.path.realpath(Path(entry.path).parent)
        if real == around or _inside(around, real):
            raise BadFileError("is a link to a folder that it lies in")
        if real in self.linked:
            raise BadFileError("is another link to a folder that is read already")
        if path.count("/") >= MAX_DEPTH:
            raise BadFileError(f"lies more than {MAX_DEPTH} folders deep")
        self.linked.add(real)


def _linked(path: str, links: Sequence[str]) -> str:
    """The link among `links` that a path is, or lies below; or ""."""
    return next((link for link in links if path == link or path.startswith(f"{link}/")), "")


def check_plain(about: os.stat_result) -> None:
    """Raises BadFileError for what is not a plain file of a size that can be read."""
    if not stat.S_ISREG(about.st_mode):
        raise BadFileError(SPECIAL.get(stat.S_IFMT(about.st_mode), "is no plain file"))
    if not about.st_size:
        raise BadFileError("is empty")
    if about.st_size > MAX_FILE:
        raise BadFileError(f"has {about.st_size} bytes; at most {MAX_FILE} are read")


def _inside(real: str, base: str) -> bool:
    return real.startswith(base.rstrip("/") + "/")


def open_inside(root: Path, path: str, links: Sequence[str] = ()) -> BinaryIO:
    """Open the plain file `path` below `root` for reading. Raises BadFileError; never blocks, never leaves `root` but by one of
    `links`, which are paths of links below it."""
    parts = path.split("/")
    if "" in parts or ".." in parts or "\0" in path:
        raise BadFileError(OUTSIDE)
    try:
        try:
            handle = _descend(root, parts)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            handle = _descend(*_resolved(root, path, links))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise BadFileError("is not there" if missing else f"cannot be read ({error.strerror})") from None
    try:
        check_plain(os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _descend(root: Path, parts: list[str]) -> int:
    """A handle of the file, opened folder by folder; a link on the way is an OSError."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for k, part in enumerate(parts):
        last = k == len(parts) - 1
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        flags |= os.O_NONBLOCK | os.O_NOCTTY if last else os.O_DIRECTORY
        try:
            below = os.open(part, flags, dir_fd=at)
        finally:
            os.close(at)
        at = below
    return at


def _resolved(root: Path, path: str, links: Sequence[str]) -> tuple[Path, list[str]]:
    """The folder and parts of what a link below `root` leads to. Raises BadFileError when it is not below `root`, or below what
    the link among `links` leads to."""
    base = os.path.realpath(root)
    real = os.path.realpath(Path(base, path))
    if not _inside(real, base):
        link = _linked(path, links)
        target = os.path.realpath(Path(base, link)) if link else ""
        if not link or not (real == target or _inside(real, target)):
            raise BadFileError(OUTSIDE)
        base = str(Path(target).parent) if real == target else target
    return Path(base), real[len(base.rstrip("/")) + 1 :].split("/")
