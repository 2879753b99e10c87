"""sandgrain inspect: what a model is made of, what it needs, and where it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain import UnsupportedError
from sandgrain.api.compile import SUFFIXES
from sandgrain.api.quantize import METHODS
from sandgrain.cli import _csv, _terminal
from sandgrain.cli._csv import Csv
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain inspect kws.tflite"


def command(
    model: Annotated[Path, typer.Argument(help=f"A file: {', '.join(SUFFIXES)}.", show_default=False)],
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", help=".npz with x (and y): say what int8 costs.")
    ] = None,
    method: Annotated[str, typer.Option(help=f"How ranges are found: {', '.join(METHODS)}.")] = "minmax",
    all_boards: Annotated[bool, typer.Option("--all-boards", help="List every board, not the smallest that fit.")] = False,
    quiet: Quiet = False,
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a model's layers, what it would need, and which boards it fits.

    What cannot be compiled is listed whole, each piece with its way out
    (exit code 2). Nothing is written.
    """
    try:
        with progress("reading", quiet) as step:
            found = sandgrain.inspect(model, calibration=calibration, method=cast(Any, method), progress=step)
    except UnsupportedError as error:
        if len(error.faults) > 1 and not as_json:
            _terminal.line(f"{len(error.faults)} pieces of {model.name} cannot be compiled:")
            for fault in error.faults:
                _terminal.line(f"  {fault}")
            raise UnsupportedError(f"{model.name}: {len(error.faults)} pieces cannot be compiled, each is named above") from None
        raise
    if all_boards and not (as_json or as_csv):
        _terminal.lines(found.lines(all_boards=True))
        return
    _csv.show(found, as_json, as_csv)
