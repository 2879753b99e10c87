"""sandgrain profile: where RAM, flash, cycles and energy go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain.cli import _csv, _terminal
from sandgrain.cli._csv import Csv
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain profile kws/"


def command(
    folder: Annotated[
        Path, typer.Argument(help="A folder that `sandgrain compile` wrote, or a built project.", show_default=False)
    ],
    target: Annotated[str | None, typer.Option("--target", "-t", help="Another board or core of the same kind.")] = None,
    compiler: Annotated[str | None, typer.Option(help="zig or gcc; by default the one it was compiled with.")] = None,
    quiet: Quiet = False,
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run one inference on the emulated core and show the cost of each layer and in total.

    Instructions, RAM and stack are emulated; cycles, milliseconds and energy are estimated from them.
    """
    with progress("building and running the firmware", quiet):
        report = sandgrain.profile(folder, target=target, compiler=compiler)
    if as_json:
        _terminal.emit_json(report.to_json())
        return
    if as_csv:
        _csv.emit(report)
        return
    _terminal.report(report, layers=True)
    for figure, source in report.sources.items():
        _terminal.line(f"{figure}: {source}")
