"""Runs `pip install` and says every few seconds that it still does: downloads and large packages are silent for minutes.

Usage: python tools/pip_install.py ARGUMENTS. Uses the standard library alone. What pip has to say, it says when it fails.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

EVERY_S = 4.0
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def install(arguments: list[str], command: list[str] | None = None) -> int:
    """pip's exit code."""
    begun, what = time.monotonic(), arguments[-1] if arguments else ""
    print(f"... installing {what}", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile() as said, subprocess.Popen((command or PIP) + arguments, stdout=said, stderr=said) as pip:
        while True:
            try:
                code = pip.wait(EVERY_S)
                break
            except subprocess.TimeoutExpired:
                print(f"... installing {what} ({time.monotonic() - begun:.0f} s)", file=sys.stderr, flush=True)
        if code:
            said.seek(0)
            sys.stderr.write(said.read().decode("utf-8", "replace"))
    return code


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:]))
