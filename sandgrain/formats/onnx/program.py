"""An ONNX model as plain values: nodes with their attributes, constants as arrays, shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.onnx.checked import checker

MAX_ELEMENTS = 1 << 24  # of all constants, and of any value
MAX_RANK = 8
AGAIN = "export the model again"
KINDS: dict[int, np.dtype[Any]] = {
    kind: np.dtype(name)
    for kind, name in {
        TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16", TensorProto.INT8: "int8",
        TensorProto.UINT8: "uint8", TensorProto.INT16: "int16", TensorProto.UINT16: "uint16", TensorProto.INT32: "int32",
        TensorProto.INT64: "int64", TensorProto.BOOL: "bool",
    }.items()
}  # fmt: skip
DOMAINS = {"": "", "ai.onnx": "", "com.microsoft": "com.microsoft."}


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNode:
    """`op`: with its domain where that is not ONNX's own. `inputs`: names, "" where an optional one is absent."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """What the caller feeds."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """`shapes`: what inference found, for some of the values."""

    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: dict[str, Array]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]


def read(data: bytes, folder: Path | None = None, shapes: Sequence[Sequence[int]] | None = None) -> Program:
    """The program of a model's bytes. `folder`: of its external data. `shapes`: of inputs that the model leaves open.

    Raises ModelError for what is damaged, UnsupportedError for types that are not read.
    """
    graph = onnx.ModelProto()
    graph.ParseFromString(checker.check(data, folder, shapes))
    return _program(graph)


def _program(model: onnx.ModelProto) -> Program:
    graph = model.graph
    if graph.sparse_initializer:
        raise UnsupportedError("sparse weights; export the model with dense ones")
    constants: dict[str, Array] = {}
    room = MAX_ELEMENTS
    for tensor in graph.initializer:
        found = array(tensor, room)
        constants[text(tensor.name)] = found
        room -= found.size
    inputs = tuple(_input(v) for v in graph.input if text(v.name) not in constants)
    if not inputs:
        raise ModelError(f"it has no input; {AGAIN}")
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    nodes = tuple(_node(n, k) for k, n in enumerate(graph.node))
    known = {text(v.name): shape for v in (*graph.value_info, *graph.output) if (shape := _shape(v)) is not None}
    return Program(opset, nodes, constants, inputs, tuple(text(v.name) for v in graph.output), known)


def _node(node: onnx.NodeProto, index: int) -> OnnxNode:
    domain, inputs, outputs = text(node.domain), tuple(map(text, node.input)), tuple(map(text, node.output))
    name = text(node.name) or next(filter(None, outputs), "") or f"node {index}"
    attrs = {text(a.name): _attribute(a) for a in node.attribute}
    return OnnxNode(DOMAINS.get(domain, f"{domain}.") + text(node.op_type), printable(name), inputs, outputs, attrs)


def text(value: str | bytes) -> str:
    """A name. What is not UTF-8 comes as bytes from protobuf."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _attribute(a: onnx.AttributeProto) -> Any:
    """A number, text, an array, or a list of them; graphs (the branches of conditions and loops) as they are."""
    if a.type == AttributeProto.TENSOR:
        return array(a.t, MAX_ELEMENTS)
    if a.type == AttributeProto.STRING:
        return a.s.decode(errors="replace")
    if a.type == AttributeProto.STRINGS:
        return [s.decode(errors="replace") for s in a.strings]
    if a.type in (AttributeProto.FLOAT, AttributeProto.INT):
        return a.f if a.type == AttributeProto.FLOAT else a.i
    return list(a.floats) if a.type == AttributeProto.FLOATS else list(a.ints) if a.type == AttributeProto.INTS else a


def array(tensor: onnx.TensorProto, room: int) -> Array:
    """A constant of at most `room` elements. Raises ModelError or UnsupportedError."""
    name, dims = printable(text(tensor.name)) or "a constant", list(tensor.dims)
    if tensor.data_type not in KINDS:
        kind = TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in TensorProto.DataType.values() else "unknown"
        raise UnsupportedError(f"{name}: constants of the type {kind}; export the model in float32, or quantized to int8")
    if len(dims) > MAX_RANK or any(d < 0 for d in dims) or math.prod(dims) > room:
        raise UnsupportedError(f"{name}: constants of more than {MAX_ELEMENTS} elements or {MAX_RANK} axes; use a smaller model")
    try:
        found: Array = numpy_helper.to_array(tensor)
        found = found.reshape(dims).astype(KINDS[tensor.data_type], copy=False)
    except Exception as error:  # whatever is wrong with it
        raise ModelError(f"{name}: data that does not fit its shape {dims} ({type(error).__name__}); {AGAIN}") from None
    return found.astype(np.float32) if found.dtype.kind == "f" else found


def _input(value: onnx.ValueInfoProto) -> Input:
    name = text(value.name)
    shown, shape = printable(name), _shape(value)
    kind = value.type.tensor_type.elem_type
    if kind not in KINDS or kind == TensorProto.BOOL:
        raise UnsupportedError(f"the input {shown} is no array of numbers; feed floats")
    if shape is None or not shape or shape[0] != 1:
        said = "no fixed shape" if shape is None else f"the shape {list(shape)}"
        raise UnsupportedError(f"the input {shown} has {said}; export the model with a batch of 1 as its first axis")
    if any(d < 1 for d in shape) or math.prod(shape) > MAX_ELEMENTS or len(shape) > MAX_RANK:
        raise UnsupportedError(f"the input {shown} has the shape {list(shape)}; use one of at most {MAX_ELEMENTS} elements")
    return Input(name, KINDS[kind], shape)


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not all(d.HasField("dim_value") for d in kind.shape.dim):
        return None
    return tuple(d.dim_value for d in kind.shape.dim)
