"""The command line: one file per command, found by its name. Each defines `command`, `EXAMPLE` for the end of its help page,
and `GOES_ON` if a run that was interrupted is continued by the next.

A command is imported when it runs. The list of commands needs only the first lines of their docstrings, which are read from the
files: `sandgrain --help` starts no compiler.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

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


def _goes_on() -> bool:
    """Whether the command that runs keeps its stages, and a second run goes on behind the last one."""
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return bool(getattr(sys.modules.get(f"{__name__}.{name}"), "GOES_ON", False))


def _fail(error: BaseException, message: str, code: int) -> NoReturn:
    line = "".join(ch if ch.isprintable() else "?" for ch in " ".join(message.split()))
    print(f"error: {line}", file=sys.stderr)
    if "--json" in sys.argv and ANSWERED not in getattr(error, "__notes__", ()):
        from sandgrain.cli import _terminal

        _terminal.emit_json({"error": line, "kind": type(error).__name__, "exit_code": code})
    raise SystemExit(code) from None


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; a SandgrainError becomes one line on stderr (and an object with --json) and its exit code."""
    signal.signal(signal.SIGTERM, _end)  # so that temporary folders go
    _interrupt.take_over()
    try:
        app()
    except SandgrainError as error:
        _fail(error, str(error), error.exit_code)
    except MemoryError as error:
        _fail(error, "not enough memory; use a smaller model or data set", 2)
    except _interrupt.Interrupted as stop:
        _interrupt.over()
        _fail(stop, "interrupted; run again to go on" if _goes_on() else "interrupted", _interrupt.CODE)
    finally:
        _interrupt.over()
