"""Brings docs/guide/adding.md up to date: its example of a task is the one that the tests build. Run by `make docs`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guide" / "adding.md"
EXAMPLE = ROOT / "tests" / "project" / "tasks_extra"


def render(page: str) -> str:
    """The page with each block of a file of the example as that file is now."""
    for path in EXAMPLE.iterdir():
        if path.is_file():
            head = rf"New file `sandgrain/project/tasks/{re.escape(path.name)}`:\n\n```\w+\n"
            text = path.read_text("utf-8")
            page = re.sub(rf"({head}).*?(^```$)", lambda m, text=text: m[1] + text + m[2], page, flags=re.MULTILINE | re.DOTALL)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    sys.stdout.write(render(PAGE.read_text("utf-8")))
