"""sandgrain init: a first project file, from a look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import sandgrain
from sandgrain.base.text import plain
from sandgrain.cli import _terminal

if TYPE_CHECKING:
    from sandgrain import Look

SHOWN = 12  # labels that are shown
MANY = 60  # columns
EXAMPLE = "Example: sandgrain init recordings/ --board arduino-nano-33-ble-sense"


def command(
    data: Annotated[Path, typer.Argument(help="Folder of recordings or images, or one file.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write it into, or a .toml file.")] = Path(
        "sandgrain.toml"
    ),
    board: Annotated[str, typer.Option("--board", "-b", help="Board or core; see: sandgrain targets.")] = "cortex-m4",
    force: Annotated[bool, typer.Option(help="Replace a file that exists.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what is seen and why; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a commented sandgrain.toml by looking at the data: kind, rate, labels, names, a first feature block, a split.

    Exit codes: 0 done; 2 there is nothing to read, or the file exists.
    """
    found = sandgrain.init(data, out=out, board=board, force=force, explain=explain)
    place = out if out.suffix == ".toml" and not out.is_dir() else out / "sandgrain.toml"
    if as_json:
        _terminal.emit_json({"out": None if explain else str(place), **found.to_json()})
        return
    rate = f" at {found.rate:g} Hz" if found.rate else ""
    _terminal.line(
        f"{found.count:,} {'file' if found.count == 1 else 'files'}, {found.kind}{rate}, {len(found.labels)} labels seen"
    )
    if found.labels:
        more = f" and {len(found.labels) - SHOWN} more" if len(found.labels) > SHOWN else ""
        _terminal.line(f"labels: {plain(', '.join(found.labels[:SHOWN]), 200)}{more}; {_source(found)}")
    plainly = [v.column for v in found.columns if v.role == "channel" and v.why == "numbers"]
    if plainly:
        _terminal.line(
            f"channels: {plain(', '.join(plainly[:MANY]), 400)}{f' and {len(plainly) - MANY} more' if len(plainly) > MANY else ''} (columns)"
        )
    for verdict in [v for v in found.columns if explain or v.column not in plainly][:MANY]:
        _terminal.line(f"column {plain(verdict.text, 200)} ({verdict.key})")
    if found.resample:
        _terminal.line("rates or times differ: resample = true brings them to one rate")
    for note in found.notes:
        _terminal.line(f"note: {plain(note, 300)}")
    if explain:
        _terminal.line("Nothing is written. Every guess can be overridden in the project file: sandgrain init without --explain")
        return
    where = "" if place.parent == Path() else f" {plain(place.parent, 120)}"
    _terminal.line(f"{plain(place, 120)} written. Read it, then: sandgrain data{where}")


def _source(found: Look) -> str:
    """Where the labels come from, and the key that overrides it."""
    table = dict(found.table)
    if "labels" in table:
        return f"from {plain(table['labels'], 80)} (labels)"
    if "label_column" in table:
        return f"from column {plain(table['label_column'], 40)} (label_column)"
    return f"from the files' names, {plain(found.name, 80)} (name)" if found.name else "(name)"
