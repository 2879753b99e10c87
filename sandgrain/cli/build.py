"""sandgrain build: from the data of a project to its verified C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain.cli import _built
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain build examples/gestures -o gestures/ --html gestures.html"
GOES_ON = True


def command(
    project: Annotated[Path, typer.Argument(help="A sandgrain.toml, or the folder that has it.")] = Path(),
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the C; by default out/ in the project.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Instead of the project's.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page with plots to this file.")] = None,
    verify: Annotated[int, typer.Option(min=1, max=1_000_000, help="Test windows, at most, on the emulated board.")] = 500,
    folds: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Cross-validate first: train and judge so many times.")
    ] = None,
    leave_out: Annotated[str | None, typer.Option(help="Cross-validate first: leave each `group` out in turn.")] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Compare a few features and small models first; build with the best.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="That --auto and one training aim at.")] = 10.0,
    write: Annotated[bool, typer.Option("--write", help="Write the choice of --auto to sandgrain.toml.")] = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Train, quantize, compile and verify a project: raw samples in, labels out, measured on the emulated board.

    Every stage is kept in .sandgrain/ beside the project file: a second build makes only what changed, and a build that was
    ended at any point goes on from there.

    With --folds or --leave-out the firmware is trained on everything afterwards, and the figures are those of the folds. --auto
    compares what suits such data on what is not for the test, refuses what cannot keep the limits, and says what it chose and why.

    RAM, flash and time of the untrained network are measured first: what cannot keep its limits is not trained.

    Exit codes: 0 done; 2 the project or its data cannot be used; 3 a limit is not kept (the C is there unless nothing was
    trained); 4 the firmware differs from its reference; 5 a tool failed.
    """
    with progress("reading", quiet) as step:
        built = sandgrain.build(
            project,
            out=out,
            seed=seed,
            html=html,
            verify=verify,
            folds=folds,
            leave_out=cast(Any, leave_out),
            auto=auto,
            minutes=minutes,
            write=write,
            progress=step,
        )
    _built.answer(built, html, as_json)
