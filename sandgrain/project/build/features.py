"""A project's features by themselves: fitted, compiled, measured; what `sandgrain features` shows."""

from __future__ import annotations

import os
from pathlib import Path

from sandgrain.base.progress import Progress, silent
from sandgrain.bundle.make import CompileRequest, Made, make
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.compiler.emit.model import Options
from sandgrain.project import inspection
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file import load

NAME = identifier("features")  # the prefix in C: features.h is a header of the C library


def make_features(
    project: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    progress: Progress = silent,
) -> Made:
    """Fit the features of a project to its training windows and compile them for its board into folder `out`.

    Raises UsageError or ModelError where the project, its data or its blocks cannot be used, and what `make` raises.
    """
    loaded = load.load(project)
    found = inspection.inspect(loaded, progress=progress)
    target = loaded.project.target
    request = CompileRequest(
        title="features",
        out=Path(out),
        board=loaded.board,
        options=Options(NAME, target.arena),
        front=Samples(found, Store(loaded.work / "build")).front,
        compiler=target.compiler,
        optimize=target.optimize,
        progress=progress,
    )
    return make(request, None, None)
