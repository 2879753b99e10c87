"""sandgrain init: a first project file, from a look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandgrain.cli import _out

EXAMPLE = "Example: sandgrain init recordings/ --board arduino-nano-33-ble-sense"


def command(
    data: Annotated[Path, typer.Argument(help="Folder of recordings or images, or one file.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write, or its folder.")] = Path("sandgrain.toml"),
    board: Annotated[str, typer.Option("--board", "-b", help="Board or core; see: sandgrain targets.")] = "cortex-m4",
    force: Annotated[bool, typer.Option(help="Replace a file that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a commented sandgrain.toml by looking at the data: kind, rate, labels, names, a first feature block, a split.

    Exit codes: 0 done; 2 there is nothing to read, or the file exists.
    """
    from sandgrain.api import project
    from sandgrain.base.text import plain

    found = project.init_project(data, out=out, board=board, force=force)
    place = out / "sandgrain.toml" if out.is_dir() else out
    if as_json:
        _out.emit_json({
            "out": str(place), "kind": found.kind, "files": found.count, "name": found.name, "rate_hz": found.rate,
            "labels": list(found.labels), "groups": found.groups,
        })  # fmt: skip
        return
    rate = f" at {found.rate:g} Hz" if found.rate else ""
    _out.line(f"{found.count} files, {found.kind}{rate}, {len(found.labels)} labels seen")
    for note in found.notes:
        _out.line(f"note: {plain(note, 200)}")
    _out.line(f"{plain(place, 120)} written. Read it, then: sandgrain data")
