"""Writes constraints.txt: every package of this environment with its version, for pip's --constraint.

Usage: python tools/constraints.py, in an environment that `make test` made. Local parts of versions (torch 2.13.0+cpu) are left out, so
that any index that has the version will do.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "constraints.txt"
NOT_PINNED = {"pip", "setuptools", "wheel", "sandgrain"}
HEAD = """\
# The packages that `make demo` and `make test` install, each in the version that the tests ran with. Python 3.11, Linux; what a system
# needs beside these (NVIDIA's packages, which PyPI's PyTorch for x86-64 brings) has the version that PyTorch names.
# Written by: python tools/constraints.py
"""


def normal(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def render() -> str:
    """The file's text for this environment."""
    found = {normal(d.metadata["Name"]): d.version.partition("+")[0] for d in metadata.distributions()}
    return HEAD + "".join(f"{name}=={version}\n" for name, version in sorted(found.items()) if name not in NOT_PINNED)


if __name__ == "__main__":
    FILE.write_text(render(), "utf-8")
