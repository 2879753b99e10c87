"""Tables as CSV, for spreadsheets and data frames."""

from __future__ import annotations

from typing import Annotated

import typer

from sandgrain.base.tables import Shown

Csv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]


def emit(result: Shown) -> None:
    """Print the rows of a result."""
    print(result.to_csv(), end="")
