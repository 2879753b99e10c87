"""What the sources share: frameworks that may be missing, and files that may be anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sandgrain.base.errors import ModelError, UsageError, printable


def require(module: str, extra: str, title: str) -> None:
    """Raise UsageError, with the command that installs it, unless `module` can be imported."""
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"{title} is not installed; pip install 'sandgrain[{extra}]'")


def is_made_of(model: object, *names: str) -> bool:
    """Whether a class of `model` has one of these full names, such as torch.nn.modules.module.Module. Nothing is imported."""
    return any(f"{c.__module__}.{c.__qualname__}" in names for c in type(model).__mro__)


def contents(path: Path, limit: int) -> bytes:
    """A file's bytes. Raises ModelError when it cannot be read or is larger than `limit` bytes."""
    shown = printable(path.name)
    try:
        if not path.is_file():
            raise ModelError(f"{shown} is no file; give a model")
        if path.stat().st_size > limit:
            raise ModelError(f"{shown} has more than {limit} bytes; use a smaller model")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{shown} cannot be read: {error.strerror}") from None
