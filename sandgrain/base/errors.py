"""Everything Sandgrain raises on purpose.

    SandgrainError
    ├── ModelError          a file or graph that is broken: exit code 2
    │   └── UnsupportedError    a legal model that uses something Sandgrain does not compile
    ├── UsageError          an option, target or data file that cannot be used: exit code 2
    ├── BudgetError         a limit that cannot be kept: exit code 3
    ├── MismatchError       two runs of one model gave different bytes: exit code 4
    ├── ToolchainError      the C compiler or linker failed: exit code 5
    └── RunError            the firmware faulted, hung or could not start: exit code 5

Each message is one line: the layer (or option), the fact, the way out.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAMED = 12  # pieces of a model that one message names


class SandgrainError(Exception):
    """Base of every error that Sandgrain raises on purpose; `exit_code` is what the CLI exits with.

    Names from outside get into messages: control and direction characters, which a terminal would obey, are written as escapes.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(
            "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in message)
        )


class ModelError(SandgrainError):
    """The model file or graph breaks a rule of its format."""


class UnsupportedError(ModelError):
    """The model is legal, but uses what Sandgrain does not compile. `faults`: each piece in a line of its own."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class UsageError(SandgrainError):
    """An option, target name or data file cannot be used."""


class BudgetError(SandgrainError):
    """A limit of the board or the user cannot be kept."""

    exit_code = 3


class MismatchError(SandgrainError):
    """Two runs of the same model disagree."""

    exit_code = 4


class ToolchainError(SandgrainError):
    """A compiler or linker is missing or failed."""

    exit_code = 5


class RunError(SandgrainError):
    """The firmware faulted, hung or could not be started."""

    exit_code = 5


def printable(text: str, limit: int = 60) -> str:
    """Text for people: printable ASCII that cannot end a comment, a string or a line."""
    safe = "".join(ch if ch.isascii() and (ch.isalnum() or ch in " _-./:;,+()[]#") else "?" for ch in text)
    safe = safe.replace("??", "?.").replace("//", "/.")
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


def unsupported(faults: Sequence[str]) -> UnsupportedError:
    """One error for all pieces of a model that cannot be compiled, each given as "layer (operator): fact; way out"."""
    if len(faults) == 1:
        return UnsupportedError(f"1 layer cannot be converted: {faults[0]}", faults)
    more = f" and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
    return UnsupportedError(f"{len(faults)} layers cannot be converted: {'; '.join(faults[:MAX_NAMED])}{more}", faults)
