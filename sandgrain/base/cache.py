"""Where things are kept that can be made again: one folder for each user, shared by all projects.

What lies there is believed and, where it is a library, run. A folder that another user may write to is therefore never used: one of this
user's that is empty is closed to others, one that holds something is left alone, which is said once.
"""

from __future__ import annotations

import functools
import os
import shlex
import stat
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sandgrain.base import scratch
from sandgrain.base.text import plain


def folder() -> Path:
    """`sandgrain` in XDG_CACHE_HOME, LOCALAPPDATA or ~/.cache, the first of them that is set; it exists and can be written to.

    Where it cannot be made, or others may write to it, a folder of this user in the system's temporary folder; at worst one that
    goes with the process.
    """
    for place in _places():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            if _is_closed(place) and os.access(place, os.W_OK):
                return place
        except OSError:
            continue
    return scratch.folder()


def _is_closed(place: Path) -> bool:
    """Whether a folder is private, or could be made so: what others may have put there already is not believed."""
    if is_private(place):
        return True
    about = place.stat()
    if not _is_mine(about.st_uid) or not about.st_mode & 0o022:
        return False
    if not any(place.iterdir()):
        place.chmod(about.st_mode & 0o755)
        return is_private(place)
    _tell(place, about.st_mode)
    return False


@functools.cache
def _tell(place: Path, mode: int) -> None:
    """Once in a process."""
    shown = plain(place, 200)
    warnings.warn(
        f"the cache {shown} is not used, for others may write to it (mode {stat.S_IMODE(mode):o}): what is known there is measured"
        f" again; if you trust all that is in it, run: chmod -R go-w {shlex.quote(shown)}",
        CacheWarning,
        stacklevel=2,
    )


class CacheWarning(UserWarning):
    """A cache is not used, and each run takes as long as the first one."""


def _places() -> Iterator[Path]:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    if base and Path(base).is_absolute():  # a relative one would be another folder in each working directory
        yield Path(base) / "sandgrain"
    else:
        with suppress(RuntimeError):  # this user has no home
            yield Path.home() / ".cache" / "sandgrain"
    yield scratch.system() / f"sandgrain-cache-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def is_private(path: Path) -> bool:
    """Whether a file or folder belongs to this user and only this user may write to it. Raises OSError where it is not there."""
    about = path.lstat()
    if stat.S_ISLNK(about.st_mode) and _is_mine(about.st_uid):  # a cache that its owner keeps on another disk
        about = path.stat()
    return not stat.S_ISLNK(about.st_mode) and _is_mine(about.st_uid) and (os.name == "nt" or not about.st_mode & 0o022)


def _is_mine(owner: int) -> bool:
    return os.name == "nt" or owner == os.geteuid()
