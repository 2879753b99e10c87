"""sandgrain inspect: what a model is made of, what it needs, and where it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain import Survey, UnsupportedError
from sandgrain.api.compile import SUFFIXES
from sandgrain.api.inspect import End, Layer
from sandgrain.base.text import size
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

EXAMPLE = "Example: sandgrain inspect kws.tflite"
HEIGHT = 8  # lines of the picture
WIDTH = 52  # columns of the picture
EIGHTHS = " ▁▂▃▄▅▆▇█"


def command(
    model: Annotated[Path, typer.Argument(help=f"A file: {', '.join(SUFFIXES)}.", show_default=False)],
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a model's layers, what it would need, and which boards it fits.

    What cannot be compiled is listed whole, each piece with its way out
    (exit code 2). Nothing is written.
    """
    try:
        with progress("reading", quiet):
            found = sandgrain.inspect(model)
    except UnsupportedError as error:
        if len(error.faults) > 1 and not as_json:
            _terminal.line(f"{len(error.faults)} pieces of {model.name} cannot be compiled:")
            for fault in error.faults:
                _terminal.line(f"  {fault}")
            raise UnsupportedError(f"{model.name}: {len(error.faults)} pieces cannot be compiled, each is named above") from None
        raise
    if as_json:
        _terminal.emit_json(found.to_json())
    else:
        _print(found)


def _print(s: Survey) -> None:
    kind = "int8" if s.quantized else "floats, to be quantized with --calibration"
    _terminal.line(
        f"{s.model}: {kind}; {len(s.layers)} layers, {_terminal.count(s.parameters)} parameters, {_terminal.count(s.macs)} MACs"
    )
    for what, ends in (("input", s.inputs), ("output", s.outputs)):
        for end in ends:
            _terminal.line(f"{what:6}  {_end(end)}")
    _terminal.line()
    columns = ["#", "layer", "output", "type", "scale", "MACs", "weights"]
    _terminal.table("", columns, [_row(x) for x in s.layers], numeric=(0, 5, 6), fixed=(2, 3, 4))
    _terminal.line()
    _picture([step.ram_bytes for step in s.steps])
    _terminal.line(f"arena {size(s.arena_bytes)}, weights {size(s.weight_bytes)}" + ("" if s.quantized else ", once it is int8"))
    _terminal.line()
    rows = [
        [f.board, f.verdict, size(f.ram_needed), size(f.ram_bytes), size(f.flash_needed), size(f.flash_bytes)] for f in s.fits
    ]
    _terminal.table("", ["board", "fits", "RAM", "of", "flash", "of"], rows, numeric=(2, 3, 4, 5), fixed=(0, 1))
    _terminal.line("Planned: arena and weights alone. tight: stack and code may not fit any more.")


def _row(x: Layer) -> list[str]:
    macs, weights = _terminal.count(x.macs) if x.macs else "", size(x.weight_bytes) if x.weight_bytes else ""
    return [str(x.index), x.op, _shape(x.shape[1:]), x.dtype, _scale(x), macs, weights]


def _end(end: End) -> str:
    scale = f", scale {end.scale:.6g}, zero point {end.zero_point}" if end.scale else ""
    moved = f" ({_shape(end.shape)} in the C)" if end.own != end.shape else ""
    return f"{end.name}  {end.dtype} {_shape(end.own)}{moved}{scale}"


def _scale(layer: Layer) -> str:
    return f"{layer.scale:.4g} {layer.zero_point:+d}" if layer.scale else ""


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"


def _picture(values: list[int]) -> None:
    """Bytes alive while each layer runs: a column a layer, or the most of several where there are more than fit."""
    if not values:
        return
    across = -(-len(values) // WIDTH)
    columns = [max(values[k : k + across]) for k in range(0, len(values), across)]
    wide = max(1, min(4, WIDTH // len(columns)))
    most = max(max(columns), 1)
    levels = [round(v / most * HEIGHT * 8) for v in columns]
    for row in reversed(range(HEIGHT)):
        marks = "".join(EIGHTHS[min(max(level - 8 * row, 0), 8)] * wide for level in levels)
        _terminal.line(f"{size(most) if row == HEIGHT - 1 else '':>9} |{marks}".rstrip())
    _terminal.line(f"{'RAM':>9} +{'-' * (wide * len(columns))}")
    _terminal.line(f"{'':9}  0{len(values) - 1:>{max(wide * len(columns) - 1, 1)}}  layer, as it runs")
