"""What the commands of a project call: write a project file, look at its data.

The packages that this needs come with `pip install 'sandgrain[data]'`; they are imported when a function runs, so that
compiling a model needs none of them.
"""

from __future__ import annotations

import importlib.util
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sandgrain.base import files
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent

if TYPE_CHECKING:
    from sandgrain.project.file.look import Look
    from sandgrain.project.inspection import Inspection

ALWAYS = ("pydantic",)
FOR_PAGES = ("jinja2", "matplotlib", "sklearn", "PIL")


def require(*packages: str) -> None:
    """Raises UsageError, naming what to install, for the first of `packages` that is missing."""
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"this needs the package {name}; pip install 'sandgrain[data]'")


def init_project(
    data: str | os.PathLike[str], *, out: str | os.PathLike[str] = "sandgrain.toml", board: str = "cortex-m4", force: bool = False
) -> Look:
    """Look at the folder (or file) `data` and write the project file `out`; what was found is returned.

    Raises UsageError where there is nothing that can be read, or `out` exists and `force` is not set.
    """
    require(*ALWAYS)
    from sandgrain.device import targets
    from sandgrain.project.file import init

    targets.load(board)
    place = Path(out)
    return init.write(Path(data), place / "sandgrain.toml" if place.is_dir() else place, board=board, force=force)


def inspect_data(
    project: str | os.PathLike[str] = ".",
    *,
    html: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Inspection:
    """Read, check and split the data of a project file (or of the `sandgrain.toml` in a folder).

    `html`: file for a page with pictures. `workers`: processes that read, by default one a core. `progress` is told what is
    done, how many are, and how many there are. The manifest goes to `.sandgrain/` beside the project file.

    Raises UsageError where the project or its data cannot be used.
    """
    require(*ALWAYS, *(FOR_PAGES if html is not None else ()))
    from sandgrain.project import inspection
    from sandgrain.project.file import load

    if html is not None and not Path(html).parent.is_dir():
        raise UsageError(f"--html {html}: there is no such folder; name a file in a folder that exists")
    found = inspection.inspect(load.load(project), workers=workers, progress=progress)
    if html is not None:
        text = page(found)
        with files.output(Path(html), "name a file in a folder that exists") as file:
            file.write(text.encode())
    return found


def page(found: Inspection) -> str:
    """The HTML page about an inspection."""
    require(*FOR_PAGES)
    from sandgrain.dataset import ingest
    from sandgrain.dataset import page as pages
    from sandgrain.project import features

    place = {r.key: k for k, r in enumerate(found.all_records)}
    own = [place[r.key] for r in found.records]
    prints = found.facts.prints[own]
    made = features.vectors(found, pages.MAX_POINTS)
    says = "its features" if made else "its fingerprint (its features cannot be computed)"
    spread = tuple(range(0, len(own), -(-len(own) // pages.MAX_POINTS)))
    rows, vectors = made or (spread, prints[list(spread)])
    return pages.render(
        pages.Content(
            title=found.name,
            kind=found.kind,
            records=found.records,
            sides=found.sides,
            labels=[(c.label, c.sides, c.seconds) for c in found.counts],
            findings=found.judgement.findings,
            leaks=found.leaks,
            bad=found.manifest.bad,
            sha256=found.manifest.sha256,
            peaks=found.facts.rows["peak"][own],
            prints=prints,
            map_rows=rows,
            map_vectors=vectors,
            map_says=says,
            features=features.describe(found),
            remarks=found.remarks,
            open_record=partial(ingest.open_record, found.manifest),
        )
    )
