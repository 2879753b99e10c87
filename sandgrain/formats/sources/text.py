"""Graphs in the printer's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandgrain.formats import text
from sandgrain.formats.sources.base import contents
from sandgrain.graph.ir import Graph

TITLE = "a graph's text"
SUFFIXES = (".txt",)


def owns(model: object) -> bool:
    return False


def begins(head: bytes) -> bool:
    return text.is_text(head)


def load(model: Path, name: str, example_input: Any = None) -> Graph:
    return text.read(contents(model, text.MAX_TEXT), name)
