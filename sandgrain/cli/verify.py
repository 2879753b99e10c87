"""sandgrain verify: the C against the model, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain import MismatchError
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain verify kws/ --data kws01.npz --limit 100"


def command(
    folder: Annotated[Path, typer.Argument(help="A folder that `sandgrain compile` wrote.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="An .npz file: x (samples), and y (labels) for accuracy. Without it: random inputs.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use the first N samples (random inputs: how many; 10).")] = None,
    on: Annotated[str, typer.Option(help="host, or emulator (the host build too).")] = "emulator",
    oracle: Annotated[bool, typer.Option(help="Compare with TensorFlow Lite Micro where its wheel is installed.")] = True,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the C over a data set and compare every output byte with the reference.

    The reference interpreter, the build for this computer, the firmware on its emulated core and TensorFlow Lite Micro
    must agree. Where they do not, the first layer that differs is named and the exit code is 4.
    """
    with progress("verify", quiet) as step:
        verdict = sandgrain.verify(folder, data, limit=limit, on=cast(Any, on), oracle=oracle, progress=step)
    if as_json:
        _terminal.emit_json(verdict.to_json())
    else:
        _terminal.verdict(verdict)
    if not verdict.identical:
        raise _terminal.answered(MismatchError(str(verdict.difference)))
