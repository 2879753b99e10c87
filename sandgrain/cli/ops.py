"""sandgrain ops: what can be compiled."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import sandgrain
from sandgrain.cli import _terminal

EXAMPLE = "Example: sandgrain ops --json"


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the supported operators: names, .tflite names, and what each does; kernels are in --json."""
    rows = sandgrain.ops()
    if as_json:
        _terminal.emit_json({"ops": [asdict(row) for row in rows]})
        return
    _terminal.table(
        f"{len(rows)} operators, {sum(len(row.tflite) for row in rows)} .tflite names (int8)",
        ["operator", ".tflite name", "what it does"],
        [[row.op, ", ".join(row.tflite) or "-", row.summary] for row in rows],
    )
