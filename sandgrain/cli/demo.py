"""sandgrain demo: the main job on an embedded default, without any file of the user's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from sandgrain import api
from sandgrain.cli import _out
from sandgrain.errors import MismatchError

EXAMPLE = "Example: sandgrain demo -o digits-demo/"


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the C.")] = Path("digits-demo"),
    target: Annotated[str, typer.Option("--target", "-t", help="Board or core.")] = "arduino-nano-33-ble-sense",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compile a digit recognizer, run its firmware on an emulated board over 360 real scans, and say what it costs.

    The model is a small int8 CNN trained on scikit-learn's handwritten digits; the scans were held out of training.
    """
    folder = resources.files("sandgrain") / "demo"
    with resources.as_file(folder / "digits.tflite") as model, resources.as_file(folder / "digits.npz") as data:
        result = api.compile_model(model, target=target, out=out, labels=tuple("0123456789"))
        with _out.progress("running the firmware") as step:
            verdict = api.verify(out, data, on="emulator", progress=step)
    if as_json:
        _out.emit_json({"out": str(out), "verify": verdict.to_json(), **result.report.to_json()})
    else:
        _out.report(result.report, layers=False)
        _out.line()
        _out.verdict(verdict)
        _out.line(f"The C lies in {out}/ : model.c, model.h, kernels/")
    if not verdict.identical:
        raise MismatchError(str(verdict.difference))
