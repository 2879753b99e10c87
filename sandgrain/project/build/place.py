"""The folder a build writes to: looked at before hours of training, and mended where a killed build left half a bundle."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from sandgrain.base import files, swap
from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.bundle import store

EXTRA = ("example", "report.json")  # what a build writes beside the bundle


def ready(out: Path) -> None:
    """Make sure that a bundle can be written to `out`. Raises UsageError where it holds something else."""
    files.check_output_folder(out, lambda folder: store.is_bundle(folder) or _is_half_a_bundle(folder))
    if out.is_dir() and not store.is_bundle(out):
        try:
            for place in sorted(out.iterdir()):
                shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        except OSError as error:
            raise UsageError(f"-o {printable(str(out))} cannot be emptied ({error.strerror}); name another folder") from None


def leftovers(out: Path) -> None:
    """Remove the folders beside `out` in which killed builds were writing their bundle, and half-written files in it."""
    files.remove_drafts(out)
    with suppress(OSError):
        swap.settle(out)


def _is_half_a_bundle(folder: Path) -> bool:
    """Whether a killed build left nothing but pieces of its bundle there."""
    return all(path.name in EXTRA or store.is_piece(path) for path in folder.iterdir()) and _ours(folder)


def _ours(folder: Path) -> bool:
    """Whether a C file that we generated lies there."""
    return any(path.is_file() and store.is_piece(path) for path in folder.iterdir())
