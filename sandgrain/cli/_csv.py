"""A result as its caller asks for it: one JSON object, a table as CSV for spreadsheets and data frames, or lines for people."""

from __future__ import annotations

from typing import Annotated

import typer

from sandgrain.base.tables import Shown
from sandgrain.cli import _terminal

Csv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]


def show(result: Shown, as_json: bool, as_csv: bool) -> None:
    """Print a result; `as_json` goes before `as_csv`."""
    if as_json:
        _terminal.emit_json(result.to_json())
    elif as_csv:
        emit(result)
    else:
        _terminal.lines(result.lines())


def emit(result: Shown) -> None:
    """Print the rows of a result."""
    print(result.to_csv(), end="")
