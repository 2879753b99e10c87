"""`sandgrain.build`: from the data of a project to its verified C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sandgrain.api._extras import TRAIN, require
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.base.text import printable

if TYPE_CHECKING:
    from sandgrain.project.build.result import Built


@verb
def build(
    project: str | os.PathLike[str] = ".",
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    html: str | os.PathLike[str] | None = None,
    verify: int = 500,
    folds: int | None = None,
    leave_out: Literal["group"] | None = None,
    progress: Watch = None,
) -> Built[Any]:
    """Train, quantize, compile and verify a project: raw samples in, labels out, measured on the emulated board.

    Every stage is kept in `.sandgrain/` beside the project file: a second build makes only what changed.

    `project`: a sandgrain.toml, or the folder that has it.
    `out`: folder of the C; by default out/ in the project.
    `seed`: from 0 to 2**32 - 1, instead of the project's.
    `html`: file for a page with plots.
    `verify`: test windows, at most, that run on the emulated board.
    `folds`: first train and judge so many times, each recording tested once; groups stay whole where the project splits by group.
    `leave_out`: "group" leaves each speaker, subject or device out in turn.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Limits that are not kept raise nothing: they are in `Built.missed`, and the C is there. Nor does firmware that differs from
    its reference: see `Built.verdict`. Raises UsageError or ModelError where the project or its data cannot be used, BudgetError
    where the board itself is too small, ToolchainError and RunError when a tool fails.
    """
    require(*TRAIN, who="build", extra="train")
    from sandgrain.project.build import page, run
    from sandgrain.project.build.folds import GROUP, Cut
    from sandgrain.project.file.load import load

    if folds is not None and (leave_out is not None or folds < 2):
        raise UsageError(
            f"--folds {folds}{' and --leave-out' if leave_out else ''}; choose 2 folds or more, or groups to leave out"
        )
    if leave_out not in (None, GROUP):
        raise UsageError(f"--leave-out {printable(str(leave_out))}: only {GROUP} can be left out")
    cut = None if folds is None and leave_out is None else Cut(folds or 0)
    loaded = load(project)
    folder = loaded.folder / "out" if out is None else Path(out)
    with watched(progress) as step:
        built = run.build(loaded, folder, seed=seed, verified=verify, cut=cut, progress=step)
        if html is not None:
            page.write(built, Path(html), step)
    return built
