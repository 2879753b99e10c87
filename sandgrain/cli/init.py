"""sandgrain init: a first project file, from a look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.cli import _terminal

EXAMPLE = "Example: sandgrain init recordings/ --board arduino-nano-33-ble-sense"


def command(
    data: Annotated[Path, typer.Argument(help="Folder of recordings or images, or one file.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write it into, or a .toml file.")] = Path(
        "sandgrain.toml"
    ),
    board: Annotated[str, typer.Option("--board", "-b", help="Board or core; see: sandgrain targets.")] = "cortex-m4",
    force: Annotated[bool, typer.Option(help="Replace a file that exists.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what is seen and why; write nothing.")] = False,
    draft: Annotated[
        bool, typer.Option("--draft", help="Write it even if sandgrain data would refuse it, to be corrected by hand.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Ask nothing; take the best guess.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print notes and problems only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a commented sandgrain.toml by looking at the data: kind, rate, labels, names, a first feature block, a split.

    On a terminal it asks a question or two where the data can be read in two ways; --yes takes its best guess, as in a pipe.
    Some recordings are read as sandgrain data reads them; what it would refuse is not written.

    Exit codes: 0 done; 2 there is nothing to read, the file exists, or sandgrain data would refuse what was found.
    """
    early = list[str]()

    def seen(summary: str, done: int, total: int) -> None:
        """The first line is printed before the trial, which takes a while."""
        if not early and not quiet and not as_json:
            early.append(summary)
            _terminal.line(summary)

    ask = _terminal.choose if _terminal.interactive() and not (yes or quiet or as_json or explain) else None
    found = sandgrain.init(data, out=out, board=board, force=force, explain=explain, draft=draft, ask=ask, progress=seen)
    place = out if out.suffix == ".toml" and not out.is_dir() else out / "sandgrain.toml"
    if as_json:
        _terminal.emit_json({"out": None if explain else str(place), **found.to_json()})
        if found.problem:
            raise typer.Exit(2)
        return
    _terminal.lines(found.remarks() if quiet else found.lines()[found.summary in early :])
    if found.problem:
        written = f"{plain(place, 120)} is written all the same, to be corrected" if not explain else "nothing is written"
        raise _terminal.answered(UsageError(f"sandgrain data would refuse this: {found.problem}; {written}"))
    if quiet:
        return
    if explain:
        _terminal.line("Nothing is written. sandgrain init without --explain writes a file in which each guess can be changed")
        return
    where = "" if place.parent == Path() else f" {plain(place.parent, 120)}"
    _terminal.line(f"{plain(place, 120)} written. Read it, then: sandgrain data{where}")
