"""Graph <-> text, for goldens and --dump.

    graph "kws"
    input %0
    output %3
    tensor %0 int8 [1, 4] "x" {"scale": [0.5], "zero_point": [3]}
    tensor %1 int8 [2, 4] "w" {"scale": [0.1], "zero_point": [0]} data sha256:5df6e0e2761359d3
    %3 = fully_connected %0, %1, none "dense" {"activation": "relu"}

Constants are printed as a hash to read, or whole (`data=True`) so that `parse` gives the graph back.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import dtype_of
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import Quantization

CHANNELS_FIRST = "layout channels_first"  # the line of a graph whose model has its channels at axis 1
FEW = 4  # scales that are printed one by one


def dump(graph: Graph, *, data: bool = False) -> str:
    """`graph` as text, the same on every machine. With `data`, constants and all scales are whole and `parse` reads it."""
    return "".join(f"{line}\n" for line in _lines(graph, data))


def _lines(graph: Graph, data: bool) -> Iterator[str]:
    yield f"graph {_json(graph.name)}"
    if graph.channels_first:
        yield CHANNELS_FIRST
    for layer in graph.restarts:
        yield f"restarts {_json(layer)}"
    for label in graph.labels:
        yield f"label {_json(label)}"
    for index in graph.inputs:
        yield f"input %{index}"
    for index in graph.outputs:
        yield f"output %{index}"
    for index, tensor in enumerate(graph.tensors):
        yield f"tensor %{index} {_tensor(tensor, data)}"
    for node in graph.nodes:
        inputs = f"{_refs(node.inputs)} " if node.inputs else ""
        yield f"{_refs(node.outputs)} = {node.op} {inputs}{_json(node.name)} {_json(dict(node.attrs), data)}"


def _tensor(tensor: Tensor, data: bool) -> str:
    parts = [tensor.dtype.name, _json(tensor.shape), _json(tensor.name)]
    if tensor.quant is not None:
        parts.append(_json(_quant(tensor.quant, data)))
    if tensor.data is not None:
        stored = tensor.dtype.pack(tensor.data)
        parts.append(f"data {_base64(stored) if data else _hash(stored)}")
    return " ".join(parts)


def _quant(quant: Quantization, whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"scale": quant.scale, "zero_point": quant.zero_point}
    if not whole and len(quant.scale) > FEW:
        found = {k: f"{len(v)} of {_hash(_little_endian(np.array(v, np.float64)))}" for k, v in found.items()}
    return found if quant.axis is None else found | {"axis": quant.axis}


def _refs(indices: tuple[int, ...]) -> str:
    return ", ".join("none" if i < 0 else f"%{i}" for i in indices)


def _little_endian(values: Array) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def _base64(data: bytes) -> str:
    return f"base64:{base64.b64encode(data).decode()}"


def _json(value: Any, data: bool = True) -> str:
    return json.dumps(value, default=lambda v: _plain(v, data))


def _plain(value: Any, data: bool) -> Any:
    if isinstance(value, Graph):
        return {"graph": dump(value, data=data)}
    if isinstance(value, frozenset):
        return {"set": sorted(value)}
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "shape": value.shape, "data": _base64(_little_endian(value))}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be printed")


# --- and back --------------------------------------------------------------------------------------------------------

_TENSOR = re.compile(r"tensor %(\d+) (\w+) (.*)")
_NODE = re.compile(r"((?:%\d+(?:, )?)+) = (\w+) ((?:(?:%\d+|none)(?:, )?)*) ?(\".*)")
_END = re.compile(r"(input|output) %(\d+)")


def parse(text: str) -> Graph:
    """The graph that `dump(graph, data=True)` printed. Raises ModelError, naming the line."""
    name, tensors, nodes = "", list[Tensor](), list[Node]()
    turned = False
    labels, restarts, ends = list[str](), list[str](), {"input": list[int](), "output": list[int]()}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            word = line.split(" ", 1)[0]
            if word == "graph":
                name = json.loads(line[6:])
            elif line == CHANNELS_FIRST:
                turned = True
            elif word == "label":
                labels.append(json.loads(line[6:]))
            elif word == "restarts":
                restarts.append(json.loads(line[9:]))
            elif match := _END.fullmatch(line):
                ends[match[1]].append(int(match[2]))
            elif match := _TENSOR.fullmatch(line):
                tensors.append(_parse_tensor(match[2], match[3]))
            elif match := _NODE.fullmatch(line):
                node_name, options = _values(match[4])
                nodes.append(Node(match[2], node_name, _indices(match[3]), _indices(match[1]), attrs(**_tuples(options))))
            elif line.strip():
                raise ModelError("is neither tensor nor node")
        except (ModelError, ValueError, LookupError, TypeError) as error:
            raise ModelError(f"line {number}: {error}; use text that dump(graph, data=True) has printed") from error
    ports = (tuple(ends["input"]), tuple(ends["output"]))
    return Graph(name, tuple(tensors), tuple(nodes), *ports, tuple(labels), turned, tuple(restarts))


def _parse_tensor(dtype: str, rest: str) -> Tensor:
    kind = dtype_of(dtype)
    match = re.search(r' data ((?:base64|sha256):[^\s"]*)$', rest)  # a name ends in a quote, so this cannot be part of one
    head, data = (rest[: match.start()], match[1]) if match else (rest, "")
    shape, name, *quant = _values(head)
    values = kind.unpack(_bytes(data), shape) if data else None
    return Tensor(name, tuple(shape), kind, _parse_quant(quant[0]) if quant else None, values)


def _parse_quant(found: dict[str, Any]) -> Quantization:
    if isinstance(found["scale"], str):
        raise ModelError("scales are only a hash")
    return Quantization(tuple(found["scale"]), tuple(found["zero_point"]), found.get("axis"))


def _bytes(text: str) -> bytes:
    if not text.startswith("base64:"):
        raise ModelError("constants are only a hash")
    return base64.b64decode(text[7:], validate=True)


def _array(text: str, dtype: str, shape: list[int]) -> Array:
    """An array of an attribute, which may be of any number type of numpy."""
    raw = np.frombuffer(_bytes(text), np.dtype(dtype).newbyteorder("<"))
    return raw.astype(dtype).reshape(shape)


def _values(text: str) -> list[Any]:
    """The JSON values that stand one after another in `text`."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += text[at : at + 1] == " "
    return found


def _indices(text: str) -> tuple[int, ...]:
    return tuple(-1 if t == "none" else int(t[1:]) for t in text.split(", ") if t)


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that attributes are; arrays back from their text."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    if isinstance(value, dict):
        if set(value) == {"dtype", "shape", "data"}:
            return _array(value["data"], value["dtype"], value["shape"])
        if set(value) == {"graph"} and isinstance(value["graph"], str):
            return parse(value["graph"])
        if set(value) == {"set"}:
            return frozenset(value["set"])
        return {k: _tuples(v) for k, v in value.items()}
    return value
