"""`sandgrain.data`: what the recordings of a project are, what is doubtful about them, and how they are split."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sandgrain.api._extras import PAGES, PROJECT, require
from sandgrain.api._verb import verb
from sandgrain.base import files
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched

if TYPE_CHECKING:
    from sandgrain.project.inspection import Count as Count
    from sandgrain.project.inspection import Inspection


@verb
def data(
    project: str | os.PathLike[str] = ".",
    *,
    html: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Watch = None,
) -> Inspection:
    """Read, check and split the data of a project. The manifest goes to `.sandgrain/` beside the project file.

    `project`: a sandgrain.toml, or the folder that has it.
    `html`: file for a page with pictures.
    `workers`: processes that read; by default one per core.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises UsageError where the project or its data cannot be used.
    """
    require(*PROJECT, *(PAGES if html is not None else ()))
    from sandgrain.project import first_look, inspection, numbers
    from sandgrain.project.file import load

    if html is not None and not Path(html).parent.is_dir():
        raise UsageError(f"--html {html}: there is no such folder; name a file in a folder that exists")
    with watched(progress) as step:
        seen = inspection.inspect(load.load(project), workers=workers, progress=step)
        step("a first look", 0, 1)
        seen = replace(seen, look=first_look.look(seen), numbers=numbers.spreads(seen))
    if html is not None:
        from sandgrain.project.data_page import render

        text = render(seen)
        with files.output(Path(html), "name a file in a folder that exists") as file:
            file.write(text.encode())
    return seen
