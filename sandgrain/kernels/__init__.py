"""The kernels, in families: beside each kernel's C its descriptor, found here by looking. `shared/`: C and Python of several
families; `proofs/`: what makes a short form of an op's arithmetic exact.

File names are unique over all folders: a bundle keeps its headers in one.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from sandgrain.kernels.base import Fit, Kernel, Lowered, Refused, pick

FOLDER = Path(__file__).parent


@cache
def headers() -> dict[str, Path]:
    """File name -> path of every header of this package, by name."""
    paths = sorted(FOLDER.rglob("*.h"), key=lambda path: path.name)
    named = {path.name: path for path in paths}
    assert len(named) == len(paths), "two headers have one name"
    return named


@cache
def descriptors() -> dict[str, tuple[Kernel, ...]]:
    """Module -> the kernels that it defines, by the modules' names."""
    found: dict[str, tuple[Kernel, ...]] = {}
    for info in sorted(pkgutil.walk_packages([str(FOLDER)], f"{__name__}."), key=lambda info: info.name):
        members = vars(importlib.import_module(info.name))
        if kernels := tuple(value for value in members.values() if isinstance(value, Kernel)):
            found[info.name] = kernels
    return found


@cache
def kernels_of(op: str) -> tuple[Kernel, ...]:
    """The kernels that compute `op`, by their ranks: the most specific first."""
    kernels = [kernel for several in descriptors().values() for kernel in several if op in kernel.ops]
    return tuple(sorted(kernels, key=lambda kernel: kernel.rank))


__all__ = ["Fit", "Kernel", "Lowered", "Refused", "descriptors", "headers", "kernels_of", "pick"]
