"""Options as the caller writes them: `--max-ram` on the command line, `max_ram=` in Python.

Messages are written in the words of the command line. What a verb raises in Python goes through `spoken`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sandgrain.base.errors import SandgrainError

_on_command_line: ContextVar[bool] = ContextVar("on_command_line", default=False)
# Options whose name in Python is another one, or that are a switch.
NAMES = {"o": "out", "as": "kind", "arena-section": "section"}
SWITCHES = ("force", "equalize", "bias-correction", "train", "measure", "oracle")
COMMAND_ONLY = ("json", "csv", "quiet", "dump", "layers", "model", "help", "version", "all-bad", "blocks", "install-completion")
WORDS = ("host", "emulator", "zig", "gcc", "float", "int8", "int16", "static", "caller", "speed", "size", "balanced",
         "minmax", "average", "percentile", "mse", "kl")  # fmt: skip
# A command in a message stays one: "sandgrain compile MODEL -o out".
_PART = re.compile(
    r"(?P<command>`?\bsandgrain [a-z]+\b[^;,`()]*)"
    r"|(?<![\w-])(?:--(?P<long>[a-z][a-z0-9-]*[a-z0-9])|-(?P<short>o))(?![\w-])"
    r"(?: (?P<value>'[^']*'|\"[^\"]*\"|-?\d[\d.]*(?:e[+-]?\d+)?\b|(?:" + "|".join(WORDS) + r")\b"
    r"|[^\s:;,()]*[./][^\s:;,()]*[^\s:;,.()]))?"
)


@contextmanager
def command_line() -> Iterator[None]:
    """For the length of a command, options are called as on the command line."""
    token = _on_command_line.set(True)
    try:
        yield
    finally:
        _on_command_line.reset(token)


def whichever(command: str, python: str) -> str:
    """What the caller does to get something: `command` on the command line, `python` in Python."""
    return command if _on_command_line.get() else python


def spoken(text: str) -> str:
    """A message in the caller's words.

    --max-ram 'much' is not a size    ->    max_ram='much' is not a size
    """
    return text if _on_command_line.get() else _PART.sub(_python, text)


def _python(match: re.Match[str]) -> str:
    name = match["long"] or match["short"]
    if match["command"] or name in COMMAND_ONLY:
        return match[0]
    value = match["value"] or ""
    python = NAMES.get(name, name.removeprefix("no-").replace("-", "_"))
    if name in SWITCHES or name.startswith("no-"):
        return f"{python}={name in SWITCHES}" + (f" {value}" if value else "")
    plain = not value or value[:1] in "'\"-" or value[0].isdigit()
    return f"{python}={value}" if plain else f"{python}='{value}'"


@contextmanager
def in_callers_words() -> Iterator[None]:
    """Errors that leave the block speak as the caller does."""
    try:
        yield
    except SandgrainError as error:
        error.args = (spoken(str(error)), *error.args[1:])
        if hasattr(error, "faults"):
            error.faults = tuple(spoken(fault) for fault in error.faults)
        raise
