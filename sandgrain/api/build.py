"""`sandgrain.build`: from the data of a project to its verified C."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sandgrain.api._extras import TRAIN, require
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.base.text import printable

if TYPE_CHECKING:
    from sandgrain.project.build.result import Built


COMPARED = 0.6  # share of the minutes that candidates are compared in
MOST_MINUTES = 100_000


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
    auto: bool = False,
    minutes: float = 10.0,
    write: bool = False,
    progress: Watch = None,
) -> Built[Any]:
    """Train, quantize, compile and verify a project: raw samples in, labels out, measured on the emulated board.

    Every stage is kept in `.sandgrain/` beside the project file: a second build makes only what changed.

    `project`: a sandgrain.toml, or the folder that has it.
    `out`: folder of the C; by default out/ in the project.
    `seed`: from 0 to 2**32 - 1, instead of the project's.
    `html`: file for a page with plots.
    `verify`: test windows, at most, that run on the emulated board.
    `folds`: first train and judge so many times, each recording tested once; groups stay whole where the project splits by group. The
        firmware is then trained on everything, and the figures are those of the folds.
    `leave_out`: "group" leaves each speaker, subject or device out in turn.
    `auto`: first compare a few features and small models by cross-validation, on what is not for the test, and build with the best.
    `minutes`: with `auto`, what the comparison and one training aim at; the comparison ends after 60 % of them.
    `write`: with `auto`, write the choice to sandgrain.toml.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Limits that are not kept raise nothing: they are in `Built.missed`, and the C is there. Nor does firmware that differs from
    its reference: see `Built.verdict`. Raises UsageError or ModelError where the project or its data cannot be used, BudgetError
    where the board itself is too small, ToolchainError and RunError when a tool fails.
    """
    require(*TRAIN, who="build", extra="train")
    from sandgrain.project.auto import search
    from sandgrain.project.build import page, run
    from sandgrain.project.build.folds import GROUP, Cut
    from sandgrain.project.file.load import load

    if folds is not None and (leave_out is not None or folds < 2):
        raise UsageError(
            f"--folds {folds}{' and --leave-out' if leave_out else ''}; choose 2 folds or more, or groups to leave out"
        )
    if leave_out not in (None, GROUP):
        raise UsageError(f"--leave-out {printable(str(leave_out))}: only {GROUP} can be left out")
    if write and not auto:
        raise UsageError("--write says what to do with the choice of --auto; add --auto")
    if not 0 < minutes <= MOST_MINUTES:
        raise UsageError(f"--minutes {minutes:g}; choose more than 0, and {MOST_MINUTES:,} at most")
    cut = None if folds is None and leave_out is None else Cut(folds or 0)
    loaded = load(project)
    folder = loaded.folder / "out" if out is None else Path(out)
    with watched(progress) as step:
        searched = None
        if auto:
            searched = search.search(loaded, folder, minutes=COMPARED * minutes, seed=seed, write=write, progress=step)
            loaded = searched.chosen.of(loaded)
        built = run.build(loaded, folder, seed=seed, verified=verify, cut=cut, progress=step)
        if searched is not None:
            built = replace(built, auto=searched)
            run.write_report(built)
        if html is not None:
            page.write(built, Path(html), step)
    return built
