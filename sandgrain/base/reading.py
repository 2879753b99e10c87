"""Small files that nobody vouches for: what is not a plain file, or larger than it may be, is refused before it is read."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from sandgrain.base.text import size

MAX_JSON = 1 << 20  # bytes of a file of settings or figures


def read_small(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes. Raises OSError, or ValueError where it is no such file.

    A pipe or a device is not waited for.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is not a file")
        data = file.read(limit + 1) if about.st_size <= limit else b""
    if about.st_size > limit or len(data) > limit:
        raise ValueError(f"it is larger than {size(limit)}")
    return data


def read_json(path: Path, limit: int = MAX_JSON) -> Any:
    """The value in a JSON file of at most `limit` bytes. Raises OSError, or ValueError where it cannot be read."""
    return parse_json(read_small(path, limit))


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError, also for one that is nested too deeply or is not UTF-8."""
    try:
        return json.loads(data if isinstance(data, str) else data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
