"""sandgrain targets: the boards and cores."""

from __future__ import annotations

from typing import Annotated

import typer

import sandgrain
from sandgrain.cli import _csv, _terminal
from sandgrain.cli._csv import Csv

EXAMPLE = "Example: sandgrain targets"


def command(
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the boards, with memory, clock and emulator, and the cores, which are targets too."""
    known = sandgrain.targets()
    if as_json:
        _terminal.emit_json(known.to_json())
        return
    if as_csv:
        _csv.emit(known)
        return
    _terminal.lines(known.lines())
