"""`sandgrain.build`: from the data of a project to its verified C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain.api._extras import TRAIN, require
from sandgrain.base.progress import Progress, silent

if TYPE_CHECKING:
    from sandgrain.project.build.result import Built


def build(
    project: str | os.PathLike[str] = ".",
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    html: str | os.PathLike[str] | None = None,
    verify: int = 500,
    progress: Progress = silent,
) -> Built[Any]:
    """Train, quantize, compile and verify a project: raw samples in, labels out, measured on the emulated board.

    Every stage is kept in `.sandgrain/` beside the project file: a second build makes only what changed.

    `project`: a sandgrain.toml, or the folder that has it.
    `out`: folder of the C; by default out/ in the project.
    `seed`: from 0 to 2**32 - 1, instead of the project's.
    `html`: file for a page with plots.
    `verify`: test windows, at most, that run on the emulated board.
    `progress`: called with what is done, how many pieces of it are, and how many there are.

    Limits that are not kept raise nothing: they are in `Built.missed`, and the C is there. Nor does firmware that differs from
    its reference: see `Built.verdict`. Raises UsageError or ModelError where the project or its data cannot be used, BudgetError
    where the board itself is too small, ToolchainError and RunError when a tool fails.
    """
    require(*TRAIN, who="build", extra="train")
    from sandgrain.project.build import page, run
    from sandgrain.project.file.load import load

    loaded = load(project)
    folder = loaded.folder / "out" if out is None else Path(out)
    built = run.build(loaded, folder, seed=seed, verified=verify, progress=progress)
    if html is not None:
        page.write(built, Path(html), progress)
    return built
