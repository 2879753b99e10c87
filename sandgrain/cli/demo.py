"""sandgrain demo: the whole story on handwritten digits, without any file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain import Demo, MismatchError
from sandgrain.cli import _built, _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain demo -o digits-demo/"
GOES_ON = True


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the project and its C.")] = Path("digits-demo"),
    train: Annotated[bool, typer.Option(help="Train; otherwise compile a network that was trained before.")] = True,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a reader of handwritten digits within a budget for an Arduino Nano 33 BLE Sense, and prove its firmware.

    From 1,797 scans: data, features, training, int8, C, and every test scan through the firmware on the emulated board.
    Needs the packages of `pip install 'sandgrain[train]'`; with --no-train a small CNN is compiled that was trained before.
    """
    with progress("reading", quiet) as step:
        made = sandgrain.demo(out, train=train, progress=step)
    if made.built is not None:
        _built.answer(made.built, made.html, as_json)
    else:
        _answer(made, out, as_json)


def _answer(made: Demo, out: Path, as_json: bool) -> None:
    """Show the network that was trained before. Raises MismatchError."""
    assert made.result is not None
    report, verdict = made.result.report, made.verdict
    if as_json:
        _terminal.emit_json({"out": str(out), "verify": verdict.to_json(), **report.to_json()})
    else:
        _terminal.report(report, layers=False)
        _terminal.line()
        _terminal.verdict(verdict)
        _terminal.line(f"The C lies in {out}/ : {report.name}.c, {report.name}.h, kernels/")
    if not verdict.identical:
        raise _terminal.answered(MismatchError(str(verdict.difference)))
