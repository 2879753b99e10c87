"""Recordings that are no samples, below the data's folder or beside it: where a pattern of `[data]` leads, and those of `background`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset import ingest
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import RateOptions
from sandgrain.dataset.records import Manifest
from sandgrain.project.file.load import Loaded


def manifests(loaded: Loaded) -> list[Manifest]:
    """What fits the patterns, folder by folder. Raises UsageError for a pattern that no recording fits."""
    data = loaded.project.data
    rate = data.layout.get(RateOptions)
    found = []
    for pattern in data.background:
        root, inside = place(loaded.root, pattern, "background")
        layout = make_layout(data.kind, files=(inside,), rate=data.rate, resample=rate.resample, links=data.links)
        try:
            manifest = ingest.ingest(root, layout)
        except UsageError as error:
            raise UsageError(f"[data] background: {error}") from None
        if not manifest.records:
            first = manifest.bad[0]
            raise UsageError(f"[data] background: {plain(first.path, 80)} {plain(first.reason, 200)}; name others")
        found.append(manifest)
    return found


def place(root: Path, pattern: str, key: str) -> tuple[Path, str]:
    """The folder that a pattern of `[data] key` starts from, and the rest of it: below `root`, or where ".." or an absolute path leads."""
    path = PurePosixPath(pattern)
    parts = list(path.parts)
    if not path.is_absolute() and ".." not in parts:
        return root, pattern
    fixed = next((k for k, part in enumerate(parts) if set("*?[") & set(part)), len(parts) - 1)
    if ".." in parts[fixed:]:
        raise UsageError(f"[data] {key}: {plain(pattern, 120)} has .. behind a wildcard; write the folder out")
    return root.joinpath(*parts[:fixed]), "/".join(parts[fixed:])
