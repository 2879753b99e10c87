"""sandgrain compile: a model in, C out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandgrain import api
from sandgrain.budget import Limits, parse_size, parse_time
from sandgrain.cli import _out

EXAMPLE = "Example: sandgrain compile kws.tflite --target arduino-nano-33-ble-sense --max-ram 64K -o kws/"


def command(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file.", show_default=False)],
    target: Annotated[str, typer.Option("--target", "-t", help="Board or core; see: sandgrain targets.")] = "cortex-m4",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the C; by default the model's name.")] = None,
    name: Annotated[str | None, typer.Option(help="Prefix of every C symbol; by default made from the file name.")] = None,
    features: Annotated[Path | None, typer.Option(help="A features.json: the C then takes raw samples.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Text file with one class label a line.")] = None,
    arena: Annotated[str, typer.Option(help="static: the C owns its memory; caller: the caller passes it.")] = "static",
    arena_section: Annotated[str | None, typer.Option(help="Linker section for the static arena, such as .dtcm.")] = None,
    optimize: Annotated[str, typer.Option(help="speed, size or balanced: kernels are chosen by measuring them.")] = "balanced",
    compiler: Annotated[str, typer.Option(help="zig (from pip) or gcc (GNU Arm, if installed), for the figures.")] = "zig",
    max_ram: Annotated[str | None, typer.Option(help="Fail above this much RAM, such as 64K.")] = None,
    max_flash: Annotated[str | None, typer.Option(help="Fail above this much flash, such as 256K.")] = None,
    max_latency: Annotated[str | None, typer.Option(help="Fail above this time an inference, such as 50ms.")] = None,
    measure: Annotated[bool, typer.Option(help="Build the firmware and run it once, for the figures.")] = True,
    dump: Annotated[bool, typer.Option(help="Print the optimized graph as text.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compile an int8 .tflite model to standalone C99 and say what it costs.

    Exit codes: 0 done; 2 the model or an option cannot be used; 3 a limit cannot be kept; 5 a tool failed.
    """
    limits = Limits(
        parse_size(max_ram, "--max-ram"), parse_size(max_flash, "--max-flash"), parse_time(max_latency, "--max-latency")
    )
    folder = out or Path(model.stem or "model")
    with _out.progress("measuring kernels") as step:
        result = api.compile_model(
            model, features=features, target=target, out=folder, name=name, labels=labels, arena=arena, section=arena_section, compiler=compiler,
            optimize=optimize, limits=limits, measure=measure, progress=step,
        )  # fmt: skip
    if as_json:
        _out.emit_json({"out": str(folder), **result.report.to_json()})
        return
    if dump:
        _out.line(result.text)
    _out.report(result.report, layers=False)
    _out.line()
    _out.line(f"C in {folder}/ : model.c, model.h, kernels/. Next: sandgrain verify {folder} --data x.npz")
