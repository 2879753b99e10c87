"""sandgrain quantize: a float model to int8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain.api.compile import SUFFIXES
from sandgrain.api.quantize import METHODS, SAMPLES, SHOWN
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain quantize kws_float.tflite --calibration kws.npz -o kws_int8.tflite"


def command(
    model: Annotated[Path, typer.Argument(help=f"A file of floats: {', '.join(SUFFIXES)}.", show_default=False)],
    calibration: Annotated[Path, typer.Option("--calibration", "-c", help=".npz with x and, for accuracy, y.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The int8 .tflite file to write.")],
    method: Annotated[str, typer.Option(help=f"How ranges are found: {', '.join(METHODS)}.")] = "percentile",
    percent: Annotated[float, typer.Option(help="Share of the values that percentile keeps on each side.")] = 99.99,
    equalize: Annotated[bool, typer.Option("--equalize", help="Bring channels to like ranges first.")] = False,
    bias_correction: Annotated[bool, typer.Option(help="Correct the means of layers by their biases.")] = True,
    samples: Annotated[int, typer.Option(help="Samples that calibrate, at most; the others test.", min=1)] = SAMPLES,
    test: Annotated[Path | None, typer.Option(help=".npz to compare float and int8 on.")] = None,
    input_scale: Annotated[float | None, typer.Option(help="Scale of the int8 input, if fixed.")] = None,
    input_zero_point: Annotated[int, typer.Option(help="Its zero point.")] = 0,
    layers: Annotated[int, typer.Option(help="Layers to show, the worst first.", min=0)] = SHOWN,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Quantize a model of floats to int8 and say what each layer lost.

    int8 samples in the .npz stand for reals by --input-scale and
    --input-zero-point, other integers for themselves.
    """
    with progress("quantizing", quiet) as step:
        report = sandgrain.quantize(
            model,
            calibration,
            out,
            method=cast(Any, method),
            percent=percent,
            equalize=equalize,
            bias_correction=bias_correction,
            samples=samples,
            test=test,
            input_scale=input_scale,
            input_zero_point=input_zero_point,
            progress=step,
        )
    if as_json:
        _terminal.emit_json(report.to_json())
    else:
        _terminal.lines(report.page(layers))
