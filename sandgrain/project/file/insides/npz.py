"""Archives of arrays; see `arrays`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandgrain.project.file.arrays import look_npz

READERS = ("npz",)
look = look_npz


def tracked(found: Mapping[str, Any]) -> bool:
    """A stream that has no labels of its own."""
    return bool(dict(found.get("table", ())).get("stream")) and not _labelled(found)


def _labelled(found: Mapping[str, Any]) -> bool:
    return bool(found.get("labels")) and "{label}" not in found.get("name", "")
