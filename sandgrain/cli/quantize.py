"""sandgrain quantize: a float model to int8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain import QuantizeReport
from sandgrain.api.compile import SUFFIXES
from sandgrain.api.quantize import METHODS, SAMPLES
from sandgrain.base.text import decibels
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
    samples: Annotated[int, typer.Option(help="Samples that calibrate; the others test.", min=1)] = SAMPLES,
    test: Annotated[Path | None, typer.Option(help=".npz to compare float and int8 on.")] = None,
    input_scale: Annotated[float | None, typer.Option(help="Scale of the int8 input, if fixed.")] = None,
    input_zero_point: Annotated[int, typer.Option(help="Its zero point.")] = 0,
    layers: Annotated[int, typer.Option(help="Layers to show, the worst first.", min=0)] = 8,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Quantize a model of floats to int8 and say what each layer lost.

    int8 samples in the .npz stand for reals by --input-scale and
    --input-zero-point, other integers for themselves.
    """
    with progress("quantizing", quiet):
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
        )
    if as_json:
        _terminal.emit_json(report.to_json())
    else:
        _print(report, layers)


def _print(report: QuantizeReport, layers: int) -> None:
    compared = report.compared
    _terminal.line(f"{report.model}: calibrated on {report.calibrated} samples, {report.options.calibration.method}")
    where = "that calibration did not see" if report.held_out else "of the calibration"
    _terminal.line(f"float against int8 on {compared.samples} samples {where}")
    if compared.accuracy_float is not None and compared.accuracy_int8 is not None:
        _terminal.line(f"  accuracy   float {100 * compared.accuracy_float:.2f} %, int8 {100 * compared.accuracy_int8:.2f} %")
    for k, snr in enumerate(compared.snr_db):
        _terminal.line(f"  output {k}   {decibels(snr)} dB signal to noise")
    if layers:
        _terminal.line()
        _terminal.table(
            "Layers, the worst first (dB: with int8 before it; alone: on exact inputs)",
            ["#", "layer", "dB", "alone", "what to do"],
            [[str(e.index), e.op, decibels(e.snr_db), decibels(e.alone_db), e.advice] for e in report.layers[:layers]],
            numeric=(0, 2, 3),
            fixed=(1,),
        )
        _terminal.line()
    _terminal.line(f"wrote {report.out}: {report.int8_bytes} bytes, {report.float_bytes} bytes of float weights before")
