"""Where things are kept that can be made again: one folder for each user, shared by all projects.

What lies there is believed and, where it is a library, run. A folder that another user may write to is therefore never used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sandgrain.base import scratch


def folder() -> Path:
    """`sandgrain` in XDG_CACHE_HOME, LOCALAPPDATA or ~/.cache, the first of them that is set; it exists and can be written to.

    Where it cannot be made, or others may write to it, a folder of this user in the system's temporary folder; at worst one that
    goes with the process.
    """
    for place in _places():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            if is_private(place) and os.access(place, os.W_OK):
                return place
        except OSError:
            continue
    return scratch.folder()


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
