"""sandgrain score: a compiled model on long recordings, as the device hears them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain.cli import _csv, _terminal
from sandgrain.cli._csv import Csv
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain score out/ evening.wav --rest background"


def command(
    folder: Annotated[
        Path,
        typer.Argument(help="A folder that `sandgrain compile` wrote from features, or a built project.", show_default=False),
    ],
    recordings: Annotated[list[Path], typer.Argument(help="Recordings, or folders with them.", show_default=False)],
    labels: Annotated[Path | None, typer.Option(help="For one recording: the file with start, end and label.")] = None,
    label_column: Annotated[str, typer.Option(help="Tables: the column that has the label of each row.")] = "",
    target_column: Annotated[
        str,
        typer.Option(help="Models of numbers: the column (or .npz array) that says what is true. Default: the one of training."),
    ] = "",
    rest: Annotated[str, typer.Option(help="The label of what no stretch covers.")] = "",
    resample: Annotated[bool, typer.Option("--resample", help="Bring recordings of another rate to the model's.")] = False,
    edited: Annotated[bool, typer.Option("--edited", help="Run C that is not what the bundle's proof makes.")] = False,
    normal: Annotated[
        list[str] | None, typer.Option(help="Detectors: a label that is no anomaly. May be given several times.")
    ] = None,
    skip: Annotated[
        float, typer.Option(metavar="SECONDS", help="Of each recording's start: heard, and not judged.", show_default=False)
    ] = 0.0,
    html: Annotated[Path | None, typer.Option(help="Write a page with a plot of each recording to this file.")] = None,
    quiet: Quiet = False,
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a model's C over whole recordings, and count what it gets right.

    Windows that span a change count as well, by the label that most of them has. Events are found, missed, found twice, or false,
    with the delay and with a bound on the rate of false alarms.

    What is true of NAME.wav stands beside it, in seconds: NAME.csv or NAME.json with start, end and label, NAME.txt as Audacity
    exports it, NAME.eaf of ELAN. A table may have a column of labels instead. --csv prints a row for each recording.

    A detector of anomalies is judged by time: each moment by what the device says when it has heard it. Labels such as normal, ok and 0
    are no anomaly (others: --normal), and all is normal that a file of anomalies alone does not name.

    A model that gives numbers is judged by how far they are off: MAE, RMSE and R2 of all windows and of each recording. What is true stands
    in a column of the recordings.
    """
    with progress("score", quiet) as step:
        found = sandgrain.score(
            folder,
            recordings,
            labels=labels,
            label_column=label_column,
            target_column=target_column,
            rest=rest,
            resample=resample,
            edited=edited,
            normal=normal or (),
            skip_s=skip,
            html=html,
            progress=step,
        )
    _csv.show(found, as_json, as_csv)
    if html is not None and not as_json and not as_csv:
        _terminal.line(f"plots in {html}")
