"""sandgrain compare: boards and settings side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain import UsageError
from sandgrain.cli import _csv
from sandgrain.cli._csv import Csv
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain compare kws.tflite --targets microbit-v2,cortex-m7 --optimize speed,size"
GOES_ON = True


def command(
    model: Annotated[Path, typer.Argument(help="A model, a compiled folder, or a project.", show_default=False)],
    targets: Annotated[str, typer.Option("--targets", "-t", help="Boards or cores, with commas between them.")] = "cortex-m4",
    optimize: Annotated[str, typer.Option(help="Goals: speed, size, balanced.")] = "balanced",
    methods: Annotated[str, typer.Option(help="Of a float model: minmax, average, percentile, mse, kl.")] = "minmax",
    widths: Annotated[str, typer.Option(help="Of a project: sizes of its network.")] = "",
    seeds: Annotated[str, typer.Option(help="Of a project: a training for each.")] = "",
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", help="Of a float model: .npz with x (and y).")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the rows in this .svg or .png file.")] = None,
    quiet: Quiet = False,
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare a model or a project on several boards and with several settings.

    One row a combination: RAM, flash, time and energy of an inference, and
    the accuracy with its 95 % interval, over seeds or over samples. One that
    cannot be made says why.
    """
    with progress("comparing", quiet) as step:
        found = sandgrain.compare(
            model,
            _words(targets),
            optimize=cast(Any, _words(optimize)),
            methods=cast(Any, _words(methods)),
            widths=_numbers(widths, "--widths"),
            seeds=_numbers(seeds, "--seeds"),
            calibration=calibration,
            plot=plot,
            progress=step,
        )
    _csv.show(found, as_json, as_csv)


def _words(listed: str) -> list[str]:
    return [word.strip() for word in listed.split(",") if word.strip()]


def _numbers(listed: str, option: str) -> list[int]:
    try:
        return [int(word) for word in _words(listed)]
    except ValueError:
        raise UsageError(f"{option} {listed[:40]!r}: give whole numbers with commas between them") from None
