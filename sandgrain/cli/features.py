"""sandgrain features: what a project's features cost on its board, and their C by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandgrain.cli import _out

EXAMPLE = "Example: sandgrain features examples/spoken-digits -o features/"


def command(
    project: Annotated[Path, typer.Argument(help="A sandgrain.toml, or the folder that has it.")] = Path(),
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the C of the features.")] = Path("features"),
    blocks: Annotated[bool, typer.Option("--blocks", help="List the blocks that there are, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a project's features to its training data, write their C, and say what they cost on its board.

    The C takes raw samples and gives the network's int8 input. `sandgrain verify` holds it to the reference.
    """
    from sandgrain.frontend.blocks import BLOCKS

    if blocks:
        rows = [[name, ", ".join(cls.kinds), cls.summary] for name, cls in BLOCKS.items()]
        if as_json:
            _out.emit_json({"blocks": [dict(zip(("block", "kinds", "summary"), row, strict=True)) for row in rows]})
        else:
            _out.table("", ["block", "signals", ""], rows, fixed=(0, 1))
        return
    from sandgrain.project.build.features import make_features

    with _out.progress("features") as progress:
        made = make_features(project, out, progress=progress)
    if as_json:
        _out.emit_json({"out": str(out), **made.report.to_json()})
        return
    _out.report(made.report, layers=True)
    _out.line()
    _out.line(f"C in {out}/ : {made.report.name}.c, {made.report.name}.h, kernels/. Next: sandgrain verify {out}")
