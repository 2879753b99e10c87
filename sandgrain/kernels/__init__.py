"""The kernels: C in families, one folder each. What several families include lies in `shared/`.

File names are unique over all folders: a bundle keeps them in one.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def headers() -> dict[str, Path]:
    """File name -> path of every header of this package, by name."""
    paths = sorted(FOLDER.rglob("*.h"), key=lambda path: path.name)
    named = {path.name: path for path in paths}
    assert len(named) == len(paths), "two headers have one name"
    return named
