"""A process that has imported the command line and forks itself for each command it is asked to run.

Asked by lines of JSON on stdin, it answers each with a line: the exit code (of a signal: minus its number), or LATE. A fork starts
as `python -m sandgrain` would: its own folder, environment, arguments and files for what it prints. PyTorch is not imported here, as
its threads do not survive a fork.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import sys
import time
from typing import Any, NoReturn

LATE = 1000
STEP_S = 0.005  # between two looks whether a command has ended


def serve() -> None:
    import sandgrain.api
    import sandgrain.cli

    for room in (sandgrain.cli, sandgrain.api):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    for name in ("sandgrain.compiler.pipeline", "sandgrain.bundle.verify", "sandgrain.formats.sources"):
        importlib.import_module(name)
    assert "torch" not in sys.modules
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            run(asked)
        print(ended(child, asked["timeout"]), flush=True)


def ended(child: int, timeout: float) -> int:
    """The child's exit code; it is killed, and LATE the answer, after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        known, status = os.waitpid(child, os.WNOHANG)
        if known:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return LATE
        time.sleep(STEP_S)


def run(asked: dict[str, Any]) -> NoReturn:
    """Be the command, and end."""
    import sandgrain.cli

    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path in ((1, asked["out"]), (2, asked["err"])):
        os.dup2(os.open(path, flags, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["sandgrain", *asked["arguments"]]
    code = 1
    try:
        sandgrain.cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        finish()
        os._exit(code)


def finish() -> None:
    """What the interpreter does at its end and `os._exit` does not."""
    import atexit
    import threading

    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: `import sandgrain` shall find the package
    serve()
