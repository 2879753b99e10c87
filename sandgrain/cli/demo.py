"""sandgrain demo: the whole story on handwritten digits, without any file of the user's."""

from __future__ import annotations

import importlib.util
import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from sandgrain.api import compile
from sandgrain.base.errors import MismatchError, UsageError
from sandgrain.cli import _out, build

EXAMPLE = "Example: sandgrain demo -o digits-demo/"
FOLDER = resources.files("sandgrain") / "demo"


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the project and its C.")] = Path("digits-demo"),
    train: Annotated[bool, typer.Option(help="Train; otherwise compile a network that was trained before.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a reader of handwritten digits within a budget for an Arduino Nano 33 BLE Sense, and prove its firmware.

    From 1,797 scans: data, features, training, int8, C, and every test scan through the firmware on the emulated board.
    Needs the packages of `pip install 'sandgrain[train]'`; with --no-train a small CNN is compiled that was trained before.
    """
    if not train:
        _compile(out, as_json)
        return
    if importlib.util.find_spec("sklearn") is None or importlib.util.find_spec("torch") is None:
        raise UsageError("the demo trains a network: pip install 'sandgrain[train]', or say --no-train")
    _project(out)
    build.command(project=out, out=out / "c", seed=None, html=out / "digits.html", verify=500, as_json=as_json)


def _project(folder: Path) -> None:
    """The project file and its data in `folder`, those that are there left alone."""
    import numpy as np
    from sklearn.datasets import load_digits

    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        if not (folder / "sandgrain.toml").exists():
            with resources.as_file(FOLDER / "sandgrain.toml") as source:
                shutil.copyfile(source, folder / "sandgrain.toml")
        if not (folder / "data" / "digits.npz").exists():
            digits = load_digits()
            images = (digits.images * 15).astype(np.uint8)[..., np.newaxis]  # 17 levels, 0 to 16, become 0 to 240
            np.savez_compressed(folder / "data" / "digits.npz", x=images, y=digits.target.astype(np.uint8))
    except OSError as error:
        raise UsageError(
            f"-o {folder} cannot be written ({error.strerror or type(error).__name__}); name another folder"
        ) from None


def _compile(out: Path, as_json: bool) -> None:
    with resources.as_file(FOLDER / "digits.tflite") as model, resources.as_file(FOLDER / "digits.npz") as data:
        result = compile.compile(model, target="arduino-nano-33-ble-sense", out=out, labels=tuple("0123456789"))
        with _out.progress("running the firmware") as step:
            verdict = compile.verify(out, data, on="emulator", progress=step)
    if as_json:
        _out.emit_json({"out": str(out), "verify": verdict.to_json(), **result.report.to_json()})
    else:
        _out.report(result.report, layers=False)
        _out.line()
        _out.verdict(verdict)
        _out.line(f"The C lies in {out}/ : {result.report.name}.c, {result.report.name}.h, kernels/")
    if not verdict.identical:
        raise MismatchError(str(verdict.difference))
