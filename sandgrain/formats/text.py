"""Graph text -> Graph: models that no .tflite can hold, such as detectors of anomalies. The text is hostile, too.

It is what `printer.dump(graph, data=True)` prints. What a layer means is decided by its op; this module checks the rest.
"""

from __future__ import annotations

from dataclasses import replace

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.base.text import plain
from sandgrain.formats.tflite import read as tflite
from sandgrain.formats.tflite import write as exporter
from sandgrain.formats.tflite.says import CHANNELS_FIRST, DESCRIPTION, RESTARTS
from sandgrain.formats.tflite.tensors import MAX_ELEMENTS
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.text import dump, parse

MARK = b'graph "'  # what the text begins with
MAX_TEXT = tflite.MAX_FILE  # bytes
MAX_PARTS = 1 << 14  # tensors, layers, and axes of all tensors
MAX_CONSTANTS = 64 << 20  # bytes


def is_text(data: bytes) -> bool:
    """Whether a model's bytes are the text of a graph; otherwise they are a .tflite."""
    return data.startswith(MARK)


def write(graph: Graph) -> bytes:
    """The text of a graph, whole. Raises UnsupportedError where `read` would not take it back."""
    data = dump(graph, data=True).encode()
    if len(data) > MAX_TEXT:
        raise UnsupportedError(f"the graph's text has {len(data)} bytes, the limit is {MAX_TEXT}; use a smaller model")
    return data


def read(data: bytes, name: str) -> Graph:
    """The graph of `data`, legal by `spec.check`. Raises ModelError or UnsupportedError: one line."""
    if len(data) > MAX_TEXT:
        raise UnsupportedError(f"the graph's text has {len(data)} bytes, the limit is {MAX_TEXT}; use a smaller model")
    if not is_text(data):
        raise ModelError("it is no text of a graph, which begins with: graph; give a model's file")
    try:
        graph = parse(data.decode())
    except ModelError as error:
        raise ModelError(plain(str(error), 200)) from None
    except (UnicodeDecodeError, ArithmeticError, AttributeError, RecursionError) as error:
        fact = "it is nested too deeply" if isinstance(error, RecursionError) else type(error).__name__
        raise ModelError(f"the graph's text is damaged ({fact}); make it again") from None
    _bounded(graph)
    for index, tensor in enumerate(graph.tensors):
        _typed(index, tensor)
    for index, node in enumerate(graph.nodes):
        _plain(index, node)
    try:
        with rules.located("the graph"):
            rules.check(graph)
    except ModelError as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        if isinstance(root, ModelError):
            raise
        fact = printable(" ".join(str(root).split()), 80)  # an op slipped: its attributes are not those that we write
        raise ModelError(f"an attribute in the graph's text is missing or damaged ({fact}); make it again") from None
    return replace(graph, name=name)


def _bounded(graph: Graph) -> None:
    axes = sum(len(t.shape) for t in graph.tensors)
    if max(len(graph.tensors), len(graph.nodes), axes) > MAX_PARTS:
        raise UnsupportedError(f"{len(graph.nodes)} layers, {len(graph.tensors)} tensors; the limit is {MAX_PARTS}")
    held = sum(t.data.nbytes for t in graph.tensors if t.data is not None)
    if held > MAX_CONSTANTS:
        raise UnsupportedError(f"{held} bytes of constants; the limit is {MAX_CONSTANTS}")
    if not all(isinstance(word, str) for word in (*graph.labels, *graph.restarts)):
        raise ModelError("a label or a layer's name is not text; make the graph's text again")


def _typed(index: int, tensor: Tensor) -> None:
    """What the rules of `spec` take for granted."""
    quant = tensor.quant
    if not isinstance(tensor.name, str) or not all(type(d) is int for d in tensor.shape):
        raise ModelError(f"tensor {index}: its name or shape is none; make the graph's text again")
    size = 1
    for d in tensor.shape:
        size *= max(d, 1)  # what is below 1 is for `spec` to say
        if size > MAX_ELEMENTS:
            raise UnsupportedError(f"tensor {index}: more than {MAX_ELEMENTS} elements; use a smaller model")
    if quant is not None and not (
        all(type(s) in (float, int) for s in quant.scale)
        and all(type(z) is int for z in quant.zero_point)
        and (quant.axis is None or type(quant.axis) is int)
    ):
        raise ModelError(f"tensor {index}: its scale or zero point is no number; make the graph's text again")


def _plain(index: int, node: Node) -> None:
    if not isinstance(node.name, str):
        raise ModelError(f"layer {index}: its name is no text; make the graph's text again")
    if any(isinstance(value, Graph) for value in node.attrs.values()):
        raise UnsupportedError(f"layer {index}: a graph within a graph; print it before it is optimized")


def write_any(graph: Graph) -> bytes:
    """The whole of an int8 graph: a .tflite where the format has every layer, otherwise the graph's text. `read_any` takes both."""
    try:
        description = CHANNELS_FIRST if graph.channels_first else DESCRIPTION
        return exporter.write(graph, description, "" if graph.restarts else RESTARTS)
    except UnsupportedError:
        return write(graph)


def read_any(data: bytes, name: str) -> Graph:
    """The graph of a model's bytes, text or .tflite. Raises ModelError or UnsupportedError."""
    return read(data, name) if is_text(data) else tflite.read(data, name)
