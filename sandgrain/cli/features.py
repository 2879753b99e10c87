"""sandgrain features: what a project's features cost on its board, and their C by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain features examples/spoken-digits -o features/"
GOES_ON = True


def command(
    project: Annotated[Path, typer.Argument(help="A sandgrain.toml, or the folder that has it.")] = Path(),
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the C of the features.")] = Path("features"),
    blocks: Annotated[bool, typer.Option("--blocks", help="List the blocks that there are, and end.")] = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a project's features to its training data, write their C, and say what they cost on its board.

    The C takes raw samples and gives the network's int8 input. `sandgrain verify` holds it to the reference.
    """
    if blocks:
        _blocks(as_json)
        return
    with progress("features", quiet) as step:
        made = sandgrain.features(project, out=out, progress=step)
    if as_json:
        _terminal.emit_json({"out": str(out), **made.report.to_json()})
        return
    _terminal.report(made.report, layers=True)
    _terminal.line()
    _terminal.line(f"C in {out}/ : {made.report.name}.c, {made.report.name}.h, kernels/. Next: sandgrain verify {out}")


def _blocks(as_json: bool) -> None:
    blocks = sandgrain.feature_blocks()
    if as_json:
        _terminal.emit_json({"blocks": [block.to_json() for block in blocks]})
    else:
        _terminal.table("", ["block", "signals", ""], [[b.name, ", ".join(b.kinds), b.summary] for b in blocks], fixed=(0, 1))
