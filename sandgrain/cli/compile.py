"""sandgrain compile: a model in, C out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import sandgrain
from sandgrain.api.compile import SUFFIXES
from sandgrain.api.quantize import METHODS
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain compile kws.tflite --target arduino-nano-33-ble-sense --max-ram 64K -o kws/"


def command(
    model: Annotated[Path, typer.Argument(help=f"A file: {', '.join(SUFFIXES)}.", show_default=False)],
    target: Annotated[str, typer.Option("--target", "-t", help="Board or core; see: sandgrain targets.")] = "cortex-m4",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the C; by default the model's name.")] = None,
    name: Annotated[str | None, typer.Option(help="Prefix of every C symbol; by default made from the file name.")] = None,
    features: Annotated[Path | None, typer.Option(help="A features.json: the C then takes raw samples.")] = None,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", help=".npz with x (and y): samples for a float model.")
    ] = None,
    method: Annotated[str, typer.Option(help=f"How ranges are found: {', '.join(METHODS)}.")] = "minmax",
    labels: Annotated[Path | None, typer.Option(help="Text file with one class label per line.")] = None,
    threshold: Annotated[int | None, typer.Option(help="Of a detector's score: above it is an anomaly.")] = None,
    number: Annotated[
        str | None, typer.Option(help="Of one int32 output: parts of a unit, offset, unit, such as 1000,0,mg/m3.")
    ] = None,
    arena: Annotated[str, typer.Option(help="static: the C owns its memory; caller: the caller passes it.")] = "static",
    arena_section: Annotated[str | None, typer.Option(help="Linker section for the static arena, such as .dtcm.")] = None,
    weights_section: Annotated[
        str | None, typer.Option(help="Linker section for the constant tables, such as .ext_flash.")
    ] = None,
    optimize: Annotated[str, typer.Option(help="speed, size or balanced: kernels are chosen by measuring them.")] = "balanced",
    compiler: Annotated[str, typer.Option(help="zig (from pip) or gcc (GNU Arm, if installed), for the figures.")] = "zig",
    max_ram: Annotated[str | None, typer.Option(help="Fail above this much RAM, such as 64K.")] = None,
    max_flash: Annotated[str | None, typer.Option(help="Fail above this much flash, such as 256K.")] = None,
    max_latency: Annotated[str | None, typer.Option(help="Fail above this time per inference, such as 50ms.")] = None,
    measure: Annotated[bool, typer.Option(help="Build the firmware and run it once, for the figures.")] = True,
    dump: Annotated[bool, typer.Option(help="Print the optimized graph as text.")] = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compile a model to standalone C99 and say what it costs.

    A model of floats is quantized to int8 with --calibration; its samples
    have the model's own layout (channels first from PyTorch and ONNX).

    Exit codes: 0 done; 2 the model or an option cannot be used; 3 a limit cannot be kept; 5 a tool failed.
    """
    folder = out or Path(model.stem or "model")
    with progress("measuring kernels", quiet) as step:
        result = sandgrain.compile(
            model,
            features=features,
            target=target,
            out=folder,
            name=name,
            calibration=calibration,
            method=cast(Any, method),
            labels=labels,
            arena=cast(Any, arena),
            section=arena_section,
            weights_section=weights_section,
            threshold=threshold,
            number=number,
            compiler=cast(Any, compiler),
            optimize=cast(Any, optimize),
            max_ram=max_ram,
            max_flash=max_flash,
            max_latency=max_latency,
            measure=measure,
            progress=step,
        )
    if as_json:
        _terminal.emit_json(result.to_json())
        return
    if dump:
        _terminal.line(result.text)
    _terminal.report(result.report, layers=False)
    _terminal.line()
    _terminal.lines(result.about_int8())
    name = result.report.name
    _terminal.line(f"C in {folder}/ : {name}.c, {name}.h, kernels/. Next: sandgrain verify {folder} --data x.npz")
