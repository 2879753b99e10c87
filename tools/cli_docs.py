"""Writes docs/reference/cli.md: every command's `--help`, as plain text for a terminal of 80 columns. Run by `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

HEAD = """\
# The command line

Every command with its arguments, options and exit codes. Generated from `--help` by `make docs`; a test fails when the two differ.
"""


def render(app: typer.Typer, name: str = "sandgrain") -> str:
    """The whole page for `app`."""
    pages = (f"## `{path}`\n\n```text\n{text}\n```\n" for path, text in _helps(typer.main.get_command(app), name, None))
    return "\n".join((HEAD, *pages))


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    command.rich_markup_mode = None  # plain text: the same on every terminal
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    yield context.command_path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    for child_name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from _helps(child, child_name, context)


if __name__ == "__main__":
    from sandgrain.cli import app

    sys.stdout.write(render(app))
