"""TensorFlow Lite files, int8 or float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandgrain.formats.tflite import read
from sandgrain.formats.tflite.write import IDENTIFIER
from sandgrain.graph.ir import Graph

TITLE = "TensorFlow Lite"
SUFFIXES = (".tflite", ".lite")


def owns(model: object) -> bool:
    return False


def begins(head: bytes) -> bool:
    return head[4:8] == IDENTIFIER


def load(model: Path, name: str, example_input: Any = None) -> Graph:
    """The graph of a file, of floats where it is not int8."""
    data = read.read_file(model)
    return read.read_float(data, name) if read.computes_in_float(data) else read.read(data, name)
