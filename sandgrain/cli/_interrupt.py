"""Ctrl-C: the command ends with one line and exit code 130, wherever it was, and temporary folders go.

The signal becomes an exception of our own: libraries that catch KeyboardInterrupt do not see it, and `with` and `finally` run.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, NoReturn

CODE = 128 + signal.SIGINT
AGAIN_S = 0.05  # seconds after which an interrupt that a callback swallowed comes again


class Interrupted(SystemExit):
    """Raised where the signal met the main thread."""


def take_over() -> None:
    """Turn SIGINT into `Interrupted`; and where Python cannot raise it (in a finalizer or a callback of C), try again soon."""
    signal.signal(signal.SIGINT, _raise)
    usual = sys.unraisablehook

    def hook(what: Any, /) -> None:
        if issubclass(what.exc_type, Interrupted):
            threading.Timer(AGAIN_S, _again).start()
        else:
            usual(what)

    sys.unraisablehook = hook


def _again() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)  # so that a sleep or a read ends, too


def over() -> None:
    """From here on the command only ends: Ctrl-C comes too late to matter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _raise(number: int, frame: object) -> NoReturn:
    raise Interrupted(CODE)
