"""`sandgrain.demo`: the whole story on handwritten digits, without any file of the user's."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain.api._result import Result
from sandgrain.api._verb import verb
from sandgrain.api.build import build
from sandgrain.api.compile import compile
from sandgrain.api.verify import verify
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, Watch, watched
from sandgrain.base.tables import Line, Shown
from sandgrain.bundle.verdict import Verdict

if TYPE_CHECKING:
    from sandgrain.project.build.result import Built

FOLDER = resources.files("sandgrain") / "demo"
BOARD = "arduino-nano-33-ble-sense"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Demo(Shown):
    """What `demo` made. `built`: the project that was trained, with its page; `result`: the network that comes with us."""

    verdict: Verdict
    built: Built[Any] | None = None
    result: Result | None = None
    html: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        made = self.built if self.built is not None else self.result
        return {"verify": self.verdict.to_json(), **({} if made is None else made.to_json())}

    def lines(self) -> list[Line]:
        if self.built is not None:
            return self.built.lines()
        return [*([] if self.result is None else [*self.result.lines(), ""]), *self.verdict.lines()]


@verb
def demo(out: str | os.PathLike[str] = "digits-demo", *, train: bool = True, progress: Watch = None) -> Demo:
    """Train a reader of handwritten digits within a budget for an Arduino Nano 33 BLE Sense, and prove its firmware.

    From 1,797 scans of 8x8 pixels: data, features, training, int8, C, and test scans through the firmware on the emulated board.

    `out`: folder of the project and its C, which is made where it is missing.
    `train`: needs the packages of `sandgrain[train]`; without, a small network is compiled that was trained before.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises UsageError where a package is missing or the folder cannot be written, and what `build` raises.
    """
    folder = Path(out)
    with watched(progress) as step:
        return _demo(folder, train, step)


def _demo(folder: Path, train: bool, progress: Progress) -> Demo:
    if not train:
        return _compiled(folder, progress)
    if importlib.util.find_spec("sklearn") is None or importlib.util.find_spec("torch") is None:
        raise UsageError("the demo trains a network: pip install 'sandgrain[train]', or say --no-train")
    _write_project(folder)
    html = folder / "digits.html"
    built = build(folder, out=folder / "c", html=html, progress=progress)
    return Demo(built.verdict, built=built, html=html)


def _write_project(folder: Path) -> None:
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
        fact = error.strerror or type(error).__name__
        raise UsageError(f"-o {folder} cannot be written ({fact}); name another folder") from None


def _compiled(out: Path, progress: Progress) -> Demo:
    """The network that was trained before."""
    with resources.as_file(FOLDER / "digits.tflite") as model, resources.as_file(FOLDER / "digits.npz") as data:
        result = compile(model, target=BOARD, out=out, labels=tuple("0123456789"), progress=progress)
        return Demo(verify(out, data, progress=progress), result=result)
