"""`sandgrain.features`: what a project's features cost on its board, and their C by itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandgrain.api._extras import PROJECT, require
from sandgrain.api._result import Result, result_of
from sandgrain.api._verb import verb
from sandgrain.base.progress import Watch, watched
from sandgrain.base.tables import Line, Shown
from sandgrain.bundle import store


@dataclass(frozen=True, slots=True, repr=False)
class FeatureBlock(Shown):
    """A block that `[[features]]` of a project can name. `kinds`: of signals that it takes."""

    name: str
    kinds: tuple[str, ...]
    summary: str

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {"block": self.name, "kinds": ", ".join(self.kinds), "summary": self.summary}

    def lines(self) -> list[Line]:
        return [f"{self.name} ({', '.join(self.kinds)}): {self.summary}"]


@verb
def features(
    project: str | os.PathLike[str] = ".", *, out: str | os.PathLike[str] = "features", progress: Watch = None
) -> Result:
    """Fit the features of a project to its training data, write their C, and measure it on the project's board.

    The C takes raw samples and gives the network's int8 input.

    `project`: a sandgrain.toml, or the folder that has it.
    `out`: folder of the C.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises UsageError or ModelError where the project, its data or its blocks cannot be used, and what `compile` raises.
    """
    require(*PROJECT)
    store.ready(Path(out))
    from sandgrain.project.build.features import make_features

    with watched(progress) as step:
        return result_of(make_features(project, out, progress=step))


@verb
def feature_blocks() -> tuple[FeatureBlock, ...]:
    """The blocks that a project's `[[features]]` can name, by name."""
    require(*PROJECT)
    from sandgrain.frontend.blocks import BLOCKS

    return tuple(FeatureBlock(name, tuple(block.kinds), block.summary) for name, block in BLOCKS.items())
