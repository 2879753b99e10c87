"""How long work tells its caller how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A callable that is told what is being done, how many pieces of it are done, and how many there are (0: not known).

    It is called from the thread that works, often, and must be quick. An exception in it ends the work: that is how to cancel.
    """

    def __call__(self, what: str, done: int, total: int, /) -> None: ...


def silent(what: str, done: int, total: int, /) -> None:
    """The `Progress` of a caller that does not watch."""
