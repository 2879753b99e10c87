"""Small files that nobody vouches for: what is not a plain file, or larger than it may be, is refused before it is read."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeGuard

from sandgrain.base.text import size

MAX_JSON = 1 << 20  # bytes of a file of settings or figures


@contextmanager
def open_plain(path: Path, limit: int | None = None) -> Iterator[IO[bytes]]:
    """A plain file, of at most `limit` bytes where one is given. Raises OSError, or ValueError where it is no such file.

    A pipe or a device is not waited for.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is not a file")
        if limit is not None and about.st_size > limit:
            raise ValueError(f"it is larger than {size(limit)}")
        yield file


def why(error: OSError | ValueError) -> str:
    """In a few words why a file could not be opened or read here."""
    return str(error) if type(error) is ValueError else type(error).__name__


def read_small(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes. Raises OSError, or ValueError where it is no such file."""
    with open_plain(path, limit) as file:
        data = file.read(limit + 1)
    if len(data) > limit:  # it grew
        raise ValueError(f"it is larger than {size(limit)}")
    return data


def read_json(path: Path, limit: int = MAX_JSON) -> Any:
    """The value in a JSON file of at most `limit` bytes. Raises OSError, or ValueError where it cannot be read."""
    return parse_json(read_small(path, limit))


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of JSON or TOML is a finite number that a float can hold; True and False are none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number of some hundred digits
        return False


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError, also for one that is nested too deeply or is not UTF-8."""
    try:
        return json.loads(data if isinstance(data, str) else data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
