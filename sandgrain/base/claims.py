"""Files and folders that are being made, under names that say by whom: what a killed process left can be told and removed.

The name ends with the number of the process, and the process holds a lock on it. A number alone may be that of another process by now, or
of one in another container; the lock goes with its holder however that ends.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

if os.name != "nt":
    import fcntl

DAY = 86_400.0  # seconds
MINUTE = 60.0
MOMENT = 2.0  # seconds: far more than lie between making a thing and locking it
REST = r"([0-9]{1,9})-[0-9a-f]{12}"  # what follows a prefix; nobody gives such a name by hand


def name(prefix: str) -> str:
    """A name for something new that begins with `prefix`."""
    return f"{prefix}{os.getpid()}-{secrets.token_hex(6)}"


def hold(path: Path) -> int:
    """Lock a file or folder of such a name, and what to `release` when it is done; -1 where there are no locks."""
    if os.name == "nt":
        return -1
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return -1
    with suppress(OSError):  # a network's disk without locks
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return number


def release(number: int) -> None:
    """End a lock."""
    if number >= 0:
        with suppress(OSError):
            os.close(number)


def remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove what dead processes of this user were making in `folder` under names that begin with `prefix`."""
    with suppress(OSError, ValueError):
        for path in [p for p in folder.iterdir() if p.name.startswith(prefix)]:
            with suppress(OSError):  # another process may be at it, too
                if is_abandoned(path, prefix):
                    remove(path)


def is_abandoned(path: Path, prefix: str) -> bool:
    """Whether nobody makes this any more. Raises OSError where it is not there."""
    rest = re.fullmatch(REST, path.name[len(prefix) :])
    about = path.lstat()
    if rest is None or (os.name != "nt" and about.st_uid != os.geteuid()):
        return False
    age, locked = time.time() - about.st_mtime, _is_locked(path)
    if locked is not False:
        return locked is None and age >= DAY
    process = int(rest[1])
    if process == os.getpid():  # containers give each of their runs the same number
        return age >= MOMENT
    return not _lives(process) or age >= MINUTE


def is_held(path: Path) -> bool:
    """Whether a process holds it; False where there are no locks, and where it is not there."""
    try:
        return _is_locked(path) is True
    except OSError:
        return False


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with what is in it; none of them need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool | None:
    """Whether a process holds it; None where that cannot be told."""
    if os.name == "nt":
        return None
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(number)
    return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
