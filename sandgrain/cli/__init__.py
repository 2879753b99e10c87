"""The command line: one file per command, found by its name. Each defines `command`, `EXAMPLE` for the end of its help page,
and `GOES_ON` if a run that was interrupted is continued by the next.

A command is imported when it runs. The list of commands needs only the first lines of their docstrings, which are read from the
files: `sandgrain --help` starts no compiler.
"""

from __future__ import annotations

import ast
import errno
import importlib
import os
import pkgutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from sandgrain.base.cache import CacheWarning
from sandgrain.base.errors import SandgrainError
from sandgrain.base.version import __version__
from sandgrain.base.words import command_line
from sandgrain.cli import _interrupt

SETTINGS = {"help_option_names": ["-h", "--help"], "terminal_width": 78}  # the same page on every terminal
ANSWERED = "the command's JSON object is printed"  # a note on an error that ends a command after its answer
NAMES = tuple(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))


class Commands(Mapping[str, Any]):
    """Name -> command, imported when it is asked for."""

    def __init__(self) -> None:
        self._imported: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        if name not in self._imported:
            module = importlib.import_module(f"{__name__}.{name}")
            alone = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
            alone.command(name=name, epilog=module.EXAMPLE)(module.command)
            self._imported[name] = typer.main.get_command(alone)
        return self._imported[name]

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


class Group(TyperGroup):
    """The commands of this folder."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(NAMES)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        room = formatter.width - 6 - max(map(len, NAMES))
        with formatter.section("Commands"):
            formatter.write_dl([(name, _cut(summary(name), room)) for name in NAMES])


def summary(name: str) -> str:
    """The first sentence of a command's docstring."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text("utf-8"))
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "command"]
    paragraph = " ".join((ast.get_docstring(function) or "").split("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".") + "."


def _cut(text: str, room: int) -> str:
    """At most `room` characters, whole words; "..." says that some are missing."""
    if len(text) <= room:
        return text
    return text[: room - 2].rpartition(" ")[0] + "..."


app = typer.Typer(
    name="sandgrain",
    cls=Group,
    help="Machine learning on microcontrollers: a model in, small C out, proven on an emulated core.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"sandgrain {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    context.with_resource(command_line())
    warnings.showwarning = _show(warnings.showwarning)


def _show(usual: Callable[..., None]) -> Callable[..., None]:
    """How warnings are shown: ours as a note."""

    def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, CacheWarning):
            print(f"note: {message}", file=sys.stderr)
        else:
            usual(message, category, *where)

    return show


def _goes_on() -> bool:
    """Whether the command that runs keeps its stages, and a second run goes on behind the last one."""
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return bool(getattr(sys.modules.get(f"{__name__}.{name}"), "GOES_ON", False))


def _fail(error: BaseException, message: str, code: int) -> NoReturn:
    line = "".join(ch if ch.isprintable() else "?" for ch in " ".join(message.split()))
    with suppress(OSError):  # neither can be said on a disk that is full
        print(f"error: {line}", file=sys.stderr)
    if "--json" in sys.argv and ANSWERED not in getattr(error, "__notes__", ()):
        from sandgrain.cli import _terminal

        with suppress(OSError):
            _terminal.emit_json({"error": line, "kind": type(error).__name__, "exit_code": code})
            _flush()
    _forget_what_is_unsaid()
    raise SystemExit(code) from None


def _fail_of_system(error: OSError) -> NoReturn:
    """A file, or what is printed, that cannot be read or written, in one line."""
    reason = error.strerror or type(error).__name__
    if error.filename is None:
        _forget_what_is_unsaid()
        if error.errno == errno.EPIPE:  # nobody reads on, as with `| head`: no reason for a word
            raise SystemExit(1) from None
        _fail(error, f"the output cannot be written ({reason}); free some space, or send it elsewhere", 5)
    _fail(error, f"{error.filename}: {reason}", 5 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 2)


def _flush() -> None:
    if sys.stdout is not None:  # a process may be started without
        sys.stdout.flush()


def _forget_what_is_unsaid() -> None:
    """What could not be printed is not tried again when the process ends, which would be a second complaint."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; a SandgrainError becomes one line on stderr (and an object with --json) and its exit code."""
    signal.signal(signal.SIGTERM, _end)  # so that temporary folders go
    _interrupt.take_over()
    try:
        try:
            app()
        except SystemExit:
            _flush()
            raise
    except SandgrainError as error:
        _fail(error, str(error), error.exit_code)
    except MemoryError as error:
        _fail(error, "not enough memory; use a smaller model or data set", 2)
    except OSError as error:
        _fail_of_system(error)
    except _interrupt.Interrupted as stop:
        _interrupt.over()
        _fail(stop, "interrupted; run again to go on" if _goes_on() else "interrupted", _interrupt.CODE)
    finally:
        _interrupt.over()
