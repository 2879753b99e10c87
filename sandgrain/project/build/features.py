"""A project's features by themselves: fitted, compiled, measured; what `sandgrain features` shows."""

from __future__ import annotations

import os

from sandgrain.api import compile
from sandgrain.base.progress import Progress, silent
from sandgrain.project import inspection
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file import load


def make_features(
    project: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    progress: Progress = silent,
) -> compile.Result:
    """Fit the features of a project to its training windows and compile them for its board into folder `out`.

    Raises UsageError or ModelError where the project, its data or its blocks cannot be used, and what `compile` raises.
    """
    loaded = load.load(project)
    found = inspection.inspect(loaded, progress=progress)
    target = loaded.project.target
    return compile.compile(
        None, features=Samples(found, Store(loaded.work / "build")).front, target=target.board, out=out,
        compiler=target.compiler, optimize=target.optimize, arena=target.arena,
        progress=progress,
    )  # fmt: skip
