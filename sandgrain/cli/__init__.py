"""The command line: one file a command, found by looking. Each file defines `command` and, if it likes, `EXAMPLE`."""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
from typing import NoReturn

import typer

import sandgrain
from sandgrain.base.errors import SandgrainError
from sandgrain.cli import _out

app = typer.Typer(
    name="sandgrain",
    help="Machine learning on microcontrollers: a model in, small C out, proven on an emulated core.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 78},  # the same page on every terminal
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"sandgrain {sandgrain.__version__}")
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version.")) -> None:
    pass


for _info in pkgutil.iter_modules(__path__):
    if not _info.name.startswith("_"):
        _module = importlib.import_module(f"{__name__}.{_info.name}")
        app.command(name=_info.name, epilog=_module.EXAMPLE)(_module.command)


def _fail(message: str, kind: str, code: int) -> NoReturn:
    line = "".join(ch if ch.isprintable() else "?" for ch in " ".join(message.split()))
    print(f"error: {line}", file=sys.stderr)
    if "--json" in sys.argv:
        _out.emit_json({"error": line, "kind": kind, "exit_code": code})
    raise SystemExit(code) from None


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; a SandgrainError becomes one line on stderr (and an object with --json) and its exit code."""
    signal.signal(signal.SIGTERM, _end)  # so that temporary folders go
    try:
        app()
    except SandgrainError as error:
        _fail(str(error), type(error).__name__, error.exit_code)
    except MemoryError:
        _fail("not enough memory; use a smaller model or data set", "MemoryError", 2)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
