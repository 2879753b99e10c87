"""Runs a compiler and turns its failure into one line."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sandgrain.base import cache, scratch
from sandgrain.base.errors import ToolchainError

_ERROR = re.compile(r"^.*?\b(?:fatal error|error|undefined reference|undefined symbol)\b.*$", re.MULTILINE)
_FULL = re.compile(r"NoSpaceLeft|No space left on device|DiskQuota|Disk quota exceeded")
_OVERFLOW = re.compile(r"will not fit in region|region .* overflowed|no room for the stack|not within region")


def environment() -> dict[str, str]:
    """The environment of a compiler: messages in English, and what it can make again in the cache folder."""
    kept = cache.folder() / "zig"
    return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(kept), "ZIG_LOCAL_CACHE_DIR": str(kept / "local"), "LC_ALL": "C"}


def first_line(command: Sequence[str]) -> str:
    """The first line that a tool prints, such as its version; "" where it prints nothing or cannot be started."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0].strip()


def compile_in(folder: Path, command: Sequence[str], timeout: float) -> None:
    """Run `command` in `folder`. Raises ToolchainError with the first line that looks like an error."""
    name = Path(command[0]).stem
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise ToolchainError(f"{name}: no result after {timeout:g} s; build again or raise the time limit") from None
    except OSError as error:
        raise ToolchainError(f"{name} could not be started: {error.strerror}; reinstall it") from None
    if done.returncode != 0:
        raise ToolchainError(explain(name, done.stderr + done.stdout, done.returncode))


def explain(compiler: str, output: str, status: int) -> str:
    """One line for a failed run: memory or a disk that is too small in words, else the compiler's first error."""
    if _FULL.search(output):
        return (
            f"{compiler}: no space left on the disk of the cache ({cache.folder()}) or of temporary files ({scratch.system()});"
            " free some, or set XDG_CACHE_HOME and TMPDIR to folders on another disk"
        )
    found = _ERROR.search(output)
    line = found.group(0).strip() if found else next(iter(output.strip().splitlines()), f"it ended with status {status}")
    if _OVERFLOW.search(output):
        return f"the program does not fit the board's memory ({line[:200]}); choose a larger board or a smaller model"
    return f"{compiler}: {line[:300]}"
