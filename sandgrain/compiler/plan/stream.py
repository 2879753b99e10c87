"""How a graph that begins with a signal streams: which of its nodes run on samples, which on rows, which on whole windows."""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.base.errors import UnsupportedError
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.base import SignalOp


@dataclass(frozen=True, slots=True)
class Shape:
    """How a graph's front streams.

    `filters`: nodes that turn samples into samples. `window`: samples (after the filters) that the ring holds, `hop` how
    far it slides; `frame`: the node that makes a row of them, None where the whole window is the model's matter; `rows`:
    nodes behind it that work on rows alone. `count`: rows in a window. `held`: the tensor that the rings stand for.
    `stride`: rows (samples where there is no frame op) from one result to the next.
    """

    filters: tuple[int, ...]
    window: int
    hop: int
    frame: int | None
    rows: tuple[int, ...]
    count: int
    held: int
    channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class Outside:
    """What a stream keeps out of the arena: `tensors` that exist only as samples or rows in its own memory, `nodes` whose
    scratch is there, and `late`, a tensor that is put into the arena only when its node's scratch is free again."""

    tensors: frozenset[int] = frozenset()
    nodes: frozenset[int] = frozenset()
    late: int = -1


def outside(graph: Graph, shape: Shape) -> Outside:
    """See `Outside`; nodes are the graph's, in its order."""
    front = [*shape.filters, *([] if shape.frame is None else [shape.frame]), *shape.rows]
    made = {graph.nodes[n].outputs[0] for n in front} - {shape.held}
    return Outside(frozenset(made), frozenset(shape.filters), shape.held if front else -1)


def shape_of(graph: Graph, stride: int) -> Shape:
    """How `graph` streams with a result every `stride` samples. Raises UnsupportedError where it cannot."""
    if len(graph.inputs) != 1 or len(graph.tensors[graph.inputs[0]].shape) != 3:
        raise UnsupportedError("only a signal can be streamed; leave the stride out")
    readers, at = graph.consumers(), graph.inputs[0]
    filters: list[int] = []
    factor = 1
    node = _only(graph, readers, at)
    while node is not None and _op(graph, node) is not None and _stream(graph, node):
        filters.append(node)
        before, at = graph.tensors[at].shape[1], graph.nodes[node].outputs[0]
        factor *= max(before // max(graph.tensors[at].shape[1], 1), 1)
        node = _only(graph, readers, at)
    samples, channels = graph.tensors[at].shape[1:]
    stride = max(stride // factor, 1)
    op = _op(graph, node) if node is not None else None
    if node is None or op is None or op.runs != "frames":
        if stride > samples:
            raise UnsupportedError(f"a stride of {stride} samples skips some of windows of {samples}; make it smaller")
        return Shape(tuple(filters), samples, stride, None, (), 1, at, channels, 1)
    attributes = graph.nodes[node].attrs
    window, hop = int(attributes["window"]), int(attributes["hop"])
    if attributes.get("peak"):
        raise UnsupportedError("features that divide by the window's peak cannot stream; set peak = false")
    if hop > window:
        raise UnsupportedError(f"frames {hop} samples apart that are {window} long leave gaps; make hop_ms the smaller one")
    frame, at = node, graph.nodes[node].outputs[0]
    rows: list[int] = []
    node = _only(graph, readers, at)
    while node is not None and (op := _op(graph, node)) is not None and op.runs == "rows":
        rows.append(node)
        at = graph.nodes[node].outputs[0]
        node = _only(graph, readers, at)
    return Shape(
        tuple(filters), window, hop, frame, tuple(rows), graph.tensors[at].shape[1], at, channels, max(round(stride / hop), 1)
    )


def _only(graph: Graph, readers: dict[int, list[int]], tensor: int) -> int | None:
    found = readers.get(tensor, [])
    return found[0] if len(found) == 1 and tensor not in graph.outputs else None


def _op(graph: Graph, node: int) -> SignalOp | None:
    op = OPS[graph.nodes[node].op]
    return op if isinstance(op, SignalOp) else None


def _stream(graph: Graph, node: int) -> bool:
    op = _op(graph, node)
    return op is not None and op.stream(graph.view(graph.nodes[node])) is not None
