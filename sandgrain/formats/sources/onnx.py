"""ONNX: files and live models, of floats or quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.formats.sources.base import contents, is_made_of, require
from sandgrain.graph.ir import Graph

TITLE = "ONNX"
SUFFIXES = (".onnx",)
LIVE = ("onnx.onnx_ml_pb2.ModelProto", "onnx.onnx_pb2.ModelProto")


def owns(model: object) -> bool:
    return is_made_of(model, *LIVE)


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The graph of a .onnx file or a live ModelProto; with its scales where the model is quantized (QDQ or QOperator).

    `example_input`: an array of batch 1, or a tuple of them, where the model leaves other axes than the batch open.
    """
    require("onnx", "onnx", "ONNX")
    from sandgrain.formats import onnx
    from sandgrain.formats.onnx.child import MAX_MODEL

    shapes = None if example_input is None else _shapes(example_input)
    if not isinstance(model, Path):
        return onnx.convert(model.SerializeToString(), name, None, shapes)
    return onnx.convert(contents(model, MAX_MODEL), name, model.parent, shapes)


def _shapes(example: Any) -> list[list[int]]:
    """The shapes of examples, with a batch of 1."""
    found = [list(np.shape(x)) for x in (example if isinstance(example, tuple | list) else (example,))]
    if not all(found) or any(0 in shape for shape in found):
        raise UsageError(f"example inputs of the shapes {found}; give arrays [1, ...]")
    return [[1, *shape[1:]] for shape in found]
