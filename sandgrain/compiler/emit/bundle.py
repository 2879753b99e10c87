"""The bundle on disk: NAME.c, NAME.h, and exactly the kernels they use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sandgrain.compiler.emit.figures import Figures
from sandgrain.compiler.emit.model import Source
from sandgrain.kernels import headers

_INCLUDE = re.compile(r'^#include "([a-z0-9_]+\.h)"', re.MULTILINE)


def kernel_files(source: Source) -> dict[str, str]:
    """File name -> text of every kernel and runtime file that the model uses, and of what those include."""
    return texts_of(source.files)


def texts_of(sources: Iterable[str]) -> dict[str, str]:
    """File name -> text of the kernel files `sources`, and of what those include."""
    known = headers()
    wanted = {Path(s).name for s in sources}
    found: dict[str, str] = {}
    while wanted:
        name = wanted.pop()
        found[name] = known[name].read_text("ascii")
        wanted |= set(_INCLUDE.findall(found[name])) - found.keys()
    return dict(sorted(found.items()))


def files(source: Source, figures: Figures | None = None) -> dict[str, str]:
    """Relative path -> text of the whole bundle, with a board's figures in the header where they are known."""
    kernels = {f"kernels/{name}": text for name, text in kernel_files(source).items()}
    return {source.options.c_file: source.body, source.options.h_file: source.header_with(figures), **kernels}


def write(source: Source, folder: Path) -> list[Path]:
    """Write the bundle below `folder` (made if missing)."""
    written = []
    for name, text in files(source).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
        written.append(path)
    return written
