"""`sandgrain.init`: a first project file, from a look at the data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sandgrain.api._extras import PROJECT, require
from sandgrain.api._verb import verb
from sandgrain.base.progress import Watch, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandgrain.project.file.look import Look
    from sandgrain.project.file.questions import Question


@verb
def init(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = "sandgrain.toml",
    board: str = "cortex-m4",
    force: bool = False,
    explain: bool = False,
    draft: bool = False,
    ask: Callable[[Question], str] | None = None,
    progress: Watch = None,
) -> Look:
    """Look at data and write a commented project file: its kind, rate and labels, a first feature block, a split.

    Some of the recordings are read as `sandgrain.data` reads them; what it would refuse is not written.

    `data`: a folder of recordings or images, or one file.
    `out`: the folder to write it into, made where it is not there, or a .toml file.
    `board`: a board or core that the project is for; `sandgrain.targets()` lists them.
    `force`: replace a file that exists.
    `explain`: only look; nothing is written. What `sandgrain.data` would refuse is `problem` of the result.
    `draft`: write it even if `sandgrain.data` would refuse it, to be corrected by hand.
    `ask`: called where the look is torn, twice at most, with a question: `text`, `choices` (the best guess first), `why` and the
    key of [data] that it sets; it gives one of the choices. None: the best guess.
    `progress`: called with (what, done, total); True: a bar.

    Raises UsageError where there is nothing that can be read, `out` exists and `force` is not set, or `sandgrain.data` would
    refuse what was found.
    """
    require(*PROJECT)
    from sandgrain.device import targets
    from sandgrain.project.file import init as project_file

    targets.load(board)
    file = project_file.place_of(Path(out))
    if targets.is_path(board):  # of a board's own file: the project names it from its own folder
        board = Path(os.path.relpath(board, file.parent)).as_posix()
        board = board if "/" in board else f"./{board}"
    with watched(progress) as tell:
        return project_file.write(Path(data), file, project_file.How(board, force, explain, draft, ask), tell)
