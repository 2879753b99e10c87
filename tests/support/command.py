"""The command line as its users call it: another process, its exit code, what it prints, what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that `--json` prints."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def line(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ") and lines[0].isprintable(), self.err
        return lines[0].removeprefix("error: ")


def environment(temporary: Path, **more: str) -> dict[str, str]:
    """The environment of a command whose temporary files go to `temporary`."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "TMPDIR": str(temporary), **more}


def sandgrain(*arguments: str | Path, cwd: Path, timeout: float = 120.0, env: Mapping[str, str] | None = None) -> Done:
    """Run `python -m sandgrain ...` in `cwd`. A traceback, or a temporary file left behind, fails the test."""
    temporary = cwd.parent / f"{cwd.name}-tmp"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "sandgrain", *map(str, arguments)],
        cwd=cwd,
        env=environment(temporary, **(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert list(temporary.iterdir()) == [], "temporary files were left behind"
    return Done(done.returncode, done.stdout, done.stderr)


def tree(folder: Path) -> dict[str, bytes]:
    """Every path below `folder` and what it holds."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}
