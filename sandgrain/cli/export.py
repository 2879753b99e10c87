"""sandgrain export: a model as a file for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain.api.compile import SUFFIXES
from sandgrain.api.export import KINDS, WRITERS
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain export kws.pt2 --calibration kws.npz -o kws.tflite"


def command(
    model: Annotated[Path, typer.Argument(help=f"A file ({', '.join(SUFFIXES)}) or a compiled folder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help=f"The file to write: {', '.join(WRITERS)}.")],
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", help=".npz with x: samples for a float model.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--as", help=f"{', '.join(KINDS)}; int8 where nothing is said.")] = None,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a model for other tools: TensorFlow Lite (Micro) or ONNX.

    The suffix of --out decides: .tflite; .onnx, quantized models with
    QuantizeLinear and DequantizeLinear; .cc, a .tflite as an array in C++
    source, with a header beside it.

    A model of floats is quantized with --calibration, unless --as float.
    """
    with progress("exporting", quiet):
        report = sandgrain.export(model, out, calibration=calibration, kind=cast(Any, kind))
    if as_json:
        _terminal.emit_json(report.to_json())
        return
    _terminal.lines(report.lines())
