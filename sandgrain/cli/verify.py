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
    folder: Annotated[
        Path, typer.Argument(help="A folder that `sandgrain compile` wrote, or a built project.", show_default=False)
    ],
    data: Annotated[
        Path | None, typer.Option(help="An .npz file: x (samples), and y (labels) for accuracy. Without it: fresh samples.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use the first N samples (fresh samples: how many; 10).")] = None,
    on: Annotated[str, typer.Option(help="emulator (nothing of the C runs on this computer itself), host, or both.")] = "both",
    oracle: Annotated[bool, typer.Option(help="Compare with TensorFlow Lite Micro where its wheel is installed.")] = True,
    edited: Annotated[bool, typer.Option("--edited", help="Run C that is not what the bundle's proof makes.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the fresh samples: those of an earlier run, which printed it.")] = None,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make the C again, and compare every byte that it computes with the reference.

    The C in the folder must be what its proof/ makes. The reference interpreter, the build for this computer, the firmware on
    its emulated core and TensorFlow Lite Micro must agree in every output, and the C in every layer, helper, macro and status
    code. Where they do not, the first layer that differs is named and the exit code is 4.

    The samples are fresh each time and their seed is printed. C that was edited is not run without --edited. The build for
    this computer runs in a process of its own with limits of memory and time, but with your rights: for a bundle of somebody
    whom you do not trust, that you took with --edited, use --on emulator.
    """
    with progress("verify", quiet) as step:
        verdict = sandgrain.verify(
            folder, data, limit=limit, on=cast(Any, on), oracle=oracle, edited=edited, seed=seed, progress=step
        )
    if as_json:
        _terminal.emit_json(verdict.to_json())
    else:
        _terminal.verdict(verdict)
    if not verdict.identical:
        raise _terminal.answered(MismatchError(verdict.reason))
