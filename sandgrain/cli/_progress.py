"""How far a command is: a bar on a terminal, a line every few seconds in a pipe or a log, nothing with --quiet. All on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from sandgrain import Progress

EVERY_S = 3.0  # between two lines; CI systems and people take a longer silence for a hang
Quiet = Annotated[bool, typer.Option("--quiet", "-q", envvar="SANDGRAIN_QUIET", help="Say nothing about progress.")]


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Progress]:
    """A callable that is told how far the work is, and shows it while the block runs. `what`: the first thing that is done."""
    if quiet:
        yield _ignored
        return
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        with _Lines(what) as lines:
            yield lines
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def _ignored(what: str, done: int, total: int, /) -> None:
    pass


class _Lines:
    """Says every EVERY_S seconds what is being done, from a thread: a stage that reports nothing for a minute is told of, too."""

    def __init__(self, what: str) -> None:
        self._now: tuple[str, int, int] = (what, 0, 0)
        self._start = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk, name="progress", daemon=True)

    def __enter__(self) -> _Lines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __call__(self, what: str, done: int, total: int, /) -> None:
        self._now = (what, done, total)

    def _talk(self) -> None:
        while not self._ended.wait(EVERY_S):
            what, done, total = self._now
            count = f", {done:,} of {total:,}" if total > 1 else ""
            shown = "".join(ch if ch.isprintable() else "?" for ch in what)
            try:
                print(f"... {shown}{count} ({time.monotonic() - self._start:.0f} s)", file=sys.stderr, flush=True)
            except (OSError, ValueError):
                return  # nobody listens any more
