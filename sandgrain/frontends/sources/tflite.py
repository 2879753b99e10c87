"""TensorFlow Lite files, int8 or float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandgrain.exporters.tflite import IDENTIFIER
from sandgrain.frontends import tflite
from sandgrain.ir import Graph

TITLE = "TensorFlow Lite"
SUFFIXES = (".tflite", ".lite")


def owns(model: object) -> bool:
    return False


def begins(head: bytes) -> bool:
    return head[4:8] == IDENTIFIER


def load(model: Path, name: str, example_input: Any = None) -> Graph:
    """The graph of a file, of floats where it is not int8."""
    data = tflite.read_file(model)
    return tflite.read_float(data, name) if tflite.computes_in_float(data) else tflite.read(data, name)
