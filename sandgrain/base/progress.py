"""How long work tells its caller how far it is."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """A callable that is told what is being done, how many pieces of it are done, and how many there are (0: not known).

    It is called from the thread that works, often, and must be quick. An exception in it ends the work: that is how to cancel.
    """

    def __call__(self, what: str, done: int, total: int, /) -> None: ...


Watch = Progress | bool | None  # how a verb is watched: by a callable, a bar (True), nobody (False), or a bar in notebooks (None)


def silent(what: str, done: int, total: int, /) -> None:
    """The `Progress` of a caller that does not watch."""


@contextmanager
def watched(watch: Watch) -> Iterator[Progress]:
    """Who is told. A bar is taken away at the end."""
    notebook = _notebook() if watch is None or watch is True else None
    if notebook is not None:
        bar: _Bar = _HtmlBar(notebook)
    elif watch is True:
        bar = _TextBar()
    else:
        yield silent if watch is None or watch is False else watch
        return
    try:
        yield bar
    finally:
        bar.close()


def _notebook() -> Callable[..., Any] | None:
    """IPython's `display`, where this is a notebook that runs it; IPython is not imported for it."""
    shell = sys.modules.get("IPython")
    if shell is None or type(shell.get_ipython()).__name__ != "ZMQInteractiveShell":
        return None
    from IPython.display import display

    shown: Callable[..., Any] = display
    return shown


class _Bar:
    """Draws at most a few times a second, and at each new kind of work."""

    EVERY = 0.2  # seconds

    def __init__(self) -> None:
        self._what, self._next = "", 0.0

    def __call__(self, what: str, done: int, total: int, /) -> None:
        now = time.monotonic()
        if what != self._what or now >= self._next or (total and done >= total):
            self._what, self._next = what, now + self.EVERY
            self.draw(what, done, total)

    def draw(self, what: str, done: int, total: int) -> None:
        """Show it."""

    def close(self) -> None:
        """Take it away."""


class _TextBar(_Bar):
    """One line of stderr that is drawn over itself; where stderr is no terminal, a line for each kind of work."""

    WIDTH = 24  # characters of the bar
    LINE = 78

    def __init__(self) -> None:
        super().__init__()
        self._said = ""

    def draw(self, what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if what != self._said:
                self._said = what
                print(what, file=sys.stderr, flush=True)
            return
        full = round(self.WIDTH * min(done / total, 1)) if total else 0
        bar = f" [{'#' * full}{'.' * (self.WIDTH - full)}] {done}/{total}" if total else ""
        print(f"\r{f'{what}{bar}'[: self.LINE]:{self.LINE}}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if sys.stderr.isatty():
            print(f"\r{'':{self.LINE}}\r", end="", file=sys.stderr, flush=True)


class _Markup:
    """HTML that a notebook shows."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return "progress"


class _HtmlBar(_Bar):
    """An HTML bar in the cell's output, updated in place."""

    def __init__(self, display: Callable[..., Any]) -> None:
        super().__init__()
        self._handle = display(_Markup(""), display_id=True)

    def draw(self, what: str, done: int, total: int) -> None:
        share = f' value="{done}" max="{total}"' if total else ""
        place = f" {done} of {total}" if total else ""
        self._handle.update(_Markup(f"<progress{share}></progress> {html.escape(what)}{place}"))

    def close(self) -> None:
        self._handle.update(_Markup(""))
