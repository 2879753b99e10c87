"""sandgrain ops: what can be compiled, and by which kernels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain import Explanation, UsageError
from sandgrain.base.tables import csv_text
from sandgrain.cli import _csv, _terminal
from sandgrain.cli._csv import Csv

EXAMPLE = "Example: sandgrain ops conv_2d --core cortex-m4 --model kws.tflite"


def command(
    op: Annotated[str, typer.Argument(help="An operator, by this list's name or its .tflite name.", show_default=False)] = "",
    core: Annotated[str, typer.Option(help="Explain the operator's kernels on this core or board.", show_default=False)] = "",
    model: Annotated[Path | None, typer.Option(help="Put each of its layers to every kernel.", show_default=False)] = None,
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the operators, or say which kernels can run one and why not the others.

    The kernels of an operator are asked in their order; the first that fits a
    layer runs it, unless measuring (--optimize) finds a better one.
    """
    if not op:
        if core or model is not None:
            raise UsageError("--core and --model go with an operator: sandgrain ops conv_2d --core cortex-m4")
        _list(as_json, as_csv)
    elif not core:
        raise UsageError(f"on which core? sandgrain ops {op[:40]} --core cortex-m4")
    else:
        explained = sandgrain.explain_kernels(op, core, model)
        if as_json:
            _terminal.emit_json(explained.to_json())
        elif as_csv:
            _csv.emit(explained)
        else:
            _print(explained, model)


def _list(as_json: bool, as_csv: bool) -> None:
    rows = sandgrain.ops()
    if as_json:
        _terminal.emit_json({"ops": [asdict(row) for row in rows]})
        return
    if as_csv:
        print(csv_text([row.rows()[0] for row in rows]), end="")
        return
    names = sum(len(row.tflite) for row in rows)
    _terminal.table(
        f"{len(rows)} operators, {names} .tflite names (int8)",
        ["operator", ".tflite name", "what it does"],
        [[row.op, ", ".join(row.tflite) or "-", row.summary] for row in rows],
        fixed=(0,),
    )


def _print(explained: Explanation, model: Path | None) -> None:
    _terminal.lines(explained.lines())
    if model is not None and not explained.layers:
        _terminal.line(f"\n{model.name} has no layer of {explained.op} after the passes")
