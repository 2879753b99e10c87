"""Temporary folders that go away however the process is asked to end; those of a killed one, when the next one needs its own."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandgrain.base import claims

PREFIX = "sandgrain-"  # of the folders in the system's temporary one

_roots: dict[int, Path] = {}  # by process, so that a fork does not remove what its parent uses


def system() -> Path:
    """The system's temporary folder. `gettempdir` tries it with a file, which a signal would leave there: signals wait that long."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return Path(tempfile.gettempdir())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _root() -> Path:
    """One folder a process. Its removal is promised before it is made: no signal comes between the two."""
    process = os.getpid()
    if process not in _roots:
        claims.remove_abandoned(system(), PREFIX)
        root = system() / claims.name(PREFIX)
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        root.mkdir(mode=0o700)
        claims.hold(root)  # as long as this process lives
        _roots[process] = root
    return _roots[process]


def folder() -> Path:
    """An empty folder that stays until the process ends, or until its user removes it."""
    try:
        return Path(tempfile.mkdtemp(dir=_root()))
    except FileNotFoundError:  # somebody cleans the system's temporary folder while we run
        del _roots[os.getpid()]
        return Path(tempfile.mkdtemp(dir=_root()))


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder for the length of a `with`."""
    made = folder()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
