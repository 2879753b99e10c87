"""Results of stages on disk, named by a hash of everything that they depend on; a changed input is another name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base import files, reading, sealed
from sandgrain.base.arrays import Array
from sandgrain.base.version import __version__

MAX_JSON = 1 << 26  # bytes of a plain value: a report of some hundred layers takes a thousandth
KEPT = 24  # results of one stage that stay, three seeds' variants of the training set; older ones are removed


def digest(*parts: Any) -> str:
    """A hash of plain values, and of this version of Sandgrain: another version makes everything again."""
    text = json.dumps([__version__, *parts], sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no plain form")


def _sealed(value: Any) -> str:
    """The digest of a plain value, kept with it: what was damaged since is made again."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of results. `path` names one; the others read it, or make and keep it.

    `made`: the stages that had to be made since this object exists. `keep`: results of a stage that stay.
    """

    folder: Path
    made: list[str] = field(default_factory=list)
    keep: int = KEPT

    def path(self, stage: str, key: str, suffix: str) -> Path:
        return self.folder / f"{stage}-{key}{suffix}"

    def checkpoint(self, stage: str, key: str) -> Path:
        """Where a training keeps its state, so that a killed one goes on; those of the oldest trainings are removed."""
        path = self.path(stage, key, ".pt")
        self.sweep(path)
        return path

    def arrays(self, stage: str, key: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
        """Named arrays."""
        path = self.path(stage, key, ".npz")
        known = sealed.read_arrays(path)
        if known is not None:
            return known
        made = dict(make())
        self.made.append(stage)
        with self._new(path) as file:
            sealed.write_arrays(file, made)
        return made

    def json(self, stage: str, key: str, make: Callable[[], Any]) -> Any:
        """A plain value, never None."""
        path = self.path(stage, key, ".json")
        known = self.peek(path)
        return self.put(path, make()) if known is None else known

    def peek(self, path: Path) -> Any:
        """The plain value kept at `path`, or None where there is none that is as it was kept."""
        try:
            kept = reading.read_json(path, MAX_JSON)
            return kept["value"] if kept["sha256"] == _sealed(kept["value"]) else None
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return None

    def put(self, path: Path, value: Any) -> Any:
        """Keep a plain value at `path`; what JSON made of it is returned."""
        plain = json.loads(json.dumps(value))
        with self._new(path) as file:
            file.write(json.dumps({"sha256": _sealed(plain), "value": plain}, indent=1).encode())
        self.made.append(path.name.split("-")[0])
        return plain

    def _new(self, path: Path) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sweep(path)
        return files.output(path)

    def sweep(self, path: Path) -> None:
        """Remove the oldest results of the stage of `path`, so that `keep` stay with it, and what killed builds left."""
        files.remove_drafts(self.folder)
        stage, kept = path.name.split("-")[0], []
        for other in self.folder.glob(f"{stage}-*"):
            with suppress(OSError):  # another build of this project may be at it, too
                kept.append((other.stat().st_mtime_ns, other))
        for _, old in sorted(kept)[: max(len(kept) - self.keep, 0)]:
            if old != path:
                old.unlink(missing_ok=True)
