"""Writes the imports in sandgrain/__init__.py that only editors and type checkers read. Run by `make docs`; a test compares."""

from __future__ import annotations

from pathlib import Path

import sandgrain

FILE = Path(__file__).resolve().parents[1] / "sandgrain" / "__init__.py"
HEAD = "if TYPE_CHECKING:"


def render(source: str) -> str:
    """The file's text with an import for each verb and type."""
    places = {**{name: f"api.{name}" for name in sandgrain._VERBS}, **sandgrain._TYPES, **sandgrain._PROJECT_TYPES}
    order = sorted(places.items(), key=lambda item: (item[1], item[0]))
    lines = [f"    from sandgrain.{place} import {name} as {name}" for name, place in order]
    before, head, rest = source.partition(f"\n{HEAD}")
    first, _, rest = rest.partition("\n")
    _, blank, after = rest.partition("\n\n")
    return "".join((before, head, first, "\n", "\n".join(lines), blank, after))


if __name__ == "__main__":
    FILE.write_text(render(FILE.read_text("utf-8")), "utf-8")
