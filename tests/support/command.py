"""The command line as its users call it: another process, its exit code, what it prints, what it leaves behind.

The processes are forked from one that has imported the package (tests/support/commands_forked.py): an import costs more than most
commands do. Tests whose statement is about the start of a process use `subprocess` and `environment` themselves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conftest import ROOT
from tests.support.commands_forked import LATE


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
    """The environment of a command whose temporary files go to `temporary`. Progress, which a slow machine shows, is off."""
    usual = {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "TMPDIR": str(temporary), "SANDGRAIN_QUIET": "1"}
    return {**os.environ, **usual, **more}


def sandgrain(*arguments: str | Path, cwd: Path, timeout: float = 120.0, env: Mapping[str, str] | None = None) -> Done:
    """Run `python -m sandgrain ...` in `cwd`. A traceback, or a temporary file left behind, fails the test."""
    temporary = cwd.parent / f"{cwd.name}-tmp"
    temporary.mkdir(exist_ok=True)
    done = forked([*map(str, arguments)], cwd, environment(temporary, **(env or {})), timeout)
    assert "Traceback" not in done.err, done.err
    assert list(temporary.iterdir()) == [], "temporary files were left behind"
    return done


@cache
def _server() -> subprocess.Popen[str]:
    """The process that commands are forked from; it ends with this one, whose end of the pipe it reads."""
    path = Path(__file__).with_name("commands_forked.py")
    return subprocess.Popen(
        [sys.executable, path], env=environment(Path(os.devnull)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def forked(arguments: list[str], cwd: Path, env: Mapping[str, str], timeout: float) -> Done:
    """What `sandgrain ARGUMENTS` does in `cwd`. Raises TimeoutError after `timeout` seconds."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with TemporaryDirectory(prefix="sandgrain-said-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        asked = {"arguments": arguments, "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err), "timeout": timeout}
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, f"the process that commands are forked from has ended with {server.wait(10)}; what it printed is above"
        code = int(answer)
        if code == LATE:
            raise TimeoutError(f"sandgrain {' '.join(arguments)} took more than {timeout} s")
        return Done(code, out.read_text(), err.read_text())


def tree(folder: Path) -> dict[str, bytes]:
    """Every path below `folder` and what it holds."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}
