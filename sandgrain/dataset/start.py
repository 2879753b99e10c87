"""Starts a decoding process with as little of Sandgrain as it needs, in a quarter of the time that all of it takes.

    python start.py sandgrain.dataset.worker

It is run as a file. The package's own `__init__`, which imports the compiler, is passed over.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Run `main` of the module that is named."""
    package = ModuleType("sandgrain")
    package.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["sandgrain"] = package
    importlib.import_module(sys.argv[1]).main()


if __name__ == "__main__":
    main()
