"""The bundle on disk: NAME.c, NAME.h, and exactly the kernels they use."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from sandgrain.codegen.model import Source

KERNELS = resources.files("sandgrain") / "kernels"
_INCLUDE = re.compile(r'^#include "([a-z0-9_]+\.h)"', re.MULTILINE)


def kernel_files(source: Source) -> dict[str, str]:
    """File name -> text of every kernel the model calls, and of what those include (next to them, or in portable/)."""
    wanted = list(source.files)
    found: dict[str, str] = {}
    while wanted:
        path = wanted.pop()
        folder, name = path.rsplit("/", 1)
        if name in found:
            continue
        text = (KERNELS / path).read_text("ascii")
        found[name] = text
        for include in _INCLUDE.findall(text):
            near = f"{folder}/{include}"
            wanted.append(near if (KERNELS / near).is_file() else f"portable/{include}")
    return dict(sorted(found.items()))


def files(source: Source) -> dict[str, str]:
    """Relative path -> text of the whole bundle."""
    kernels = {f"kernels/{name}": text for name, text in kernel_files(source).items()}
    return {source.options.c_file: source.body, source.options.h_file: source.header, **kernels}


def write(source: Source, folder: Path) -> list[Path]:
    """Write the bundle below `folder` (made if missing)."""
    written = []
    for name, text in files(source).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
        written.append(path)
    return written
