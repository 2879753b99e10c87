"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sandgrain.errors import UsageError, printable


def write(files: Mapping[Path, bytes]) -> None:
    """Write each path's bytes: all new files, or the old ones stay. Raises UsageError, in one line, naming the path."""
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in files}
    path = next(iter(files))
    try:
        for path, part in parts.items():
            if path.is_dir():
                raise IsADirectoryError(None, "it is a folder")
            part.write_bytes(files[path])
        for path, part in parts.items():
            part.replace(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise UsageError(f"-o {printable(str(path), 200)}: {reason}; name a file that can be written") from None
    finally:
        for part in parts.values():
            _drop(part)


def _drop(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except (OSError, ValueError):  # its folder is no folder: then it was never made
        return
