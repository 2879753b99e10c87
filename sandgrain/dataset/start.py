"""Starts a decoding process from this very package, whether or not it is installed.

    python start.py sandgrain.dataset.worker

It is run as a file. The folder that holds the package is searched for the package alone: whatever lies beside it stays unread.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Run `main` of the module that is named."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    importlib.import_module("sandgrain")
    del sys.path[0]
    importlib.import_module(sys.argv[1]).main()


if __name__ == "__main__":
    main()
