"""sandgrain docs: the documentation that came with the package."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Annotated

import typer

import sandgrain
from sandgrain.cli import _terminal

EXAMPLE = "Example: sandgrain docs tutorial/recordings"


def command(
    page: Annotated[str, typer.Argument(help="A page, such as tutorial or guide/import.", show_default=False)] = "",
    show: Annotated[bool, typer.Option("--print", help="Print it, also where there is a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the documentation, or show a page of it.

    On a desktop the page is opened and its path printed; elsewhere, and in a pipe, its text is printed.
    """
    found = sandgrain.docs(page)
    if as_json:
        _terminal.emit_json(found.to_json())
    elif not page:
        _terminal.lines(found.lines())
    elif not show and _desktop() and webbrowser.open(found.pages[0].path.as_uri()):
        print(found.pages[0].path)
    else:
        print(found.pages[0].text, end="")


def _desktop() -> bool:
    """Whether somebody sits before a screen that can show a browser."""
    screen = sys.platform in ("darwin", "win32") or any(os.environ.get(key) for key in ("DISPLAY", "WAYLAND_DISPLAY"))
    return screen and sys.stdout.isatty()
