"""ONNX models to graphs: of floats, with the scales of a model that was quantized (QDQ or QOperator).

checked.py   the onnx package's checker and shape inference, in a child process with limits (child.py)
program.py   plain values: nodes, attributes, constants
fold.py      what is computed on constants alone, such as the arithmetic of shapes
patterns.py  layers that exporters write as several nodes
ops/         ONNX's operators in the words of frontends/aten
convert.py   the walk over all nodes
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sandgrain.formats.onnx.convert import graph_of
from sandgrain.formats.onnx.patterns import simplified
from sandgrain.formats.onnx.program import read
from sandgrain.graph.ir import Graph

__all__ = ["convert"]


def convert(data: bytes, name: str, folder: Path | None = None, shapes: Sequence[Sequence[int]] | None = None) -> Graph:
    """The graph of a model's bytes. `folder`: where its external data lies. `shapes`: of inputs that the model leaves open.

    Raises ModelError for what is damaged, UnsupportedError, naming every node, for what cannot be converted.
    """
    return graph_of(simplified(read(data, folder, shapes)), name)
