"""Where things are kept that can be made again: one folder for each user, shared by all projects."""

from __future__ import annotations

import os
from pathlib import Path

from sandgrain.base import scratch


def folder() -> Path:
    """`sandgrain` in XDG_CACHE_HOME, LOCALAPPDATA or ~/.cache, the first of them that is set; it exists and can be written to.

    Where it cannot be made, a folder of that name in the system's temporary folder; at worst one that goes with the process.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    for root in (Path(base) if base else Path.home() / ".cache", scratch.system()):
        try:
            (root / "sandgrain").mkdir(parents=True, exist_ok=True)
            if os.access(root / "sandgrain", os.W_OK):
                return root / "sandgrain"
        except OSError:
            continue
    return scratch.folder()
