"""sandgrain init: a first project file, from a look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain.base.text import plain
from sandgrain.cli import _terminal

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
    found = sandgrain.init(data, out=out, board=board, force=force)
    place = out / "sandgrain.toml" if out.is_dir() else out
    if as_json:
        _terminal.emit_json({"out": str(place), **found.to_json()})
        return
    _terminal.lines(found.lines())
    _terminal.line(f"{plain(place, 120)} written. Read it, then: sandgrain data")
