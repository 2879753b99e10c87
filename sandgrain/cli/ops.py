"""sandgrain ops: what can be compiled."""

from __future__ import annotations

from typing import Annotated

import typer

from sandgrain.cli import _out
from sandgrain.graph.ops import OPS

EXAMPLE = "Example: sandgrain ops --json"


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the supported operators: .tflite names, kernels, and what each does."""
    rows = [
        {"op": op.name, "tflite": [f.name for f in op.foreign], "kernels": [k.name for k in op.kernels], "summary": op.summary}
        for op in OPS.values()
    ]
    if as_json:
        _out.emit_json({"ops": rows})
        return
    _out.table(
        f"{len(rows)} operators, {sum(len(op.foreign) for op in OPS.values())} .tflite names (int8)",
        [".tflite name", "what it does"],
        [[", ".join(f.name for f in op.foreign), op.summary] for op in OPS.values()],
    )
