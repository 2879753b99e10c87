"""Makes a virtual environment with pip in it, also where Debian's python3-venv package is missing, without root.

Usage: python3 tools/make_venv.py FOLDER. Uses the standard library alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

PIP_URL = (
    "https://files.pythonhosted.org/packages/ef/7d/500c9ad20238fcfcb4cb9243eede163594d7020ce87bd9610c9e02771876/"
    "pip-24.3.1-py3-none-any.whl"
)
PIP_SHA256 = "3790624780082365f47549d032f3770eeb2b1e8bd1f7b2e02dace1afa361b4ed"


def make(folder: Path) -> None:
    """Create `folder` as a virtual environment that has pip."""
    bundled = importlib.util.find_spec("ensurepip") is not None  # Debian moves it to python3-venv
    venv.create(folder, with_pip=bundled, clear=True, symlinks=True)
    python = str(folder / "bin" / "python")
    if bundled:
        return
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "pip"]
        if subprocess.run(command, check=False).returncode == 0:
            return
    with tempfile.TemporaryDirectory() as scratch:
        wheel = Path(scratch) / PIP_URL.rpartition("/")[2]
        wheel.write_bytes(_download())
        # A wheel is a zip file, and Python runs pip straight from it.
        subprocess.run([python, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)], check=True)


def _download() -> bytes:
    with urllib.request.urlopen(PIP_URL, timeout=60) as answer:
        data: bytes = answer.read()
    if hashlib.sha256(data).hexdigest() != PIP_SHA256:
        raise OSError("the downloaded pip is not the expected one")
    return data


def main() -> int:
    """Make the environment named on the command line; one line and status 1 where that fails."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything has checked the version
        print("Sandgrain needs Python 3.11 or later; name one: make PYTHON=python3.12", file=sys.stderr)
        return 1
    try:
        make(Path(sys.argv[1]))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no virtual environment could be made ({error}); install python3-venv, then try again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
