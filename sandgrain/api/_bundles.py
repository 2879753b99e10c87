"""Which folder a caller means where a bundle is needed."""

from __future__ import annotations

from pathlib import Path

from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.bundle import store


def bundle_of(folder: Path) -> Path:
    """The folder itself, or the bundle of a project there. Raises UsageError for a project that was not built."""
    if store.is_bundle(folder) or not (folder / "sandgrain.toml").is_file():
        return folder
    if not store.is_bundle(folder / "out"):
        where = printable(str(folder), 200)
        raise UsageError(f"{where} is a project without a bundle in out/; make it first: sandgrain build {where}")
    return folder / "out"
