"""The folder a build writes to: looked at before hours of training, and mended where a killed build left half a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandgrain import proof
from sandgrain.codegen.ctext import printable
from sandgrain.errors import UsageError

EXTRA = ("example", "report.json")  # what a build writes beside the bundle


def ready(out: Path) -> None:
    """Make sure that a bundle can be written to `out`. Raises UsageError where it holds something else."""
    try:
        if out.exists() and not out.is_dir():
            raise UsageError(f"-o {printable(str(out))} is a file; name a folder")
        if not out.is_dir() or (out / "proof" / "build.json").is_file():
            return
        places = sorted(out.iterdir())
        if places and not (all(p.name in EXTRA or proof.is_piece(p) for p in places) and _ours(out)):
            raise UsageError(f"-o {printable(str(out))} holds other files; name an empty or new folder")
        for place in places:
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    except (OSError, ValueError) as error:
        raise UsageError(f"-o {printable(str(out))} cannot be used ({type(error).__name__}); name another folder") from None


def leftovers(out: Path) -> None:
    """Remove the folders beside `out` in which killed builds were writing their bundle."""
    beside = out.absolute().parent
    for folder in beside.glob(f".{out.name}.[0-9a-f]*"):
        if len(folder.name) == len(out.name) + 10 and folder.is_dir() and (_ours(folder) or not any(folder.iterdir())):
            shutil.rmtree(folder, ignore_errors=True)


def _ours(folder: Path) -> bool:
    """Whether a C file that we generated lies there."""
    return any(path.is_file() and proof.is_piece(path) for path in folder.iterdir())
