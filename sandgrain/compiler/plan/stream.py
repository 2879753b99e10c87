"""How a graph that begins with a signal streams: which of its nodes run on samples, which on rows, which on whole windows."""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.base.errors import UnsupportedError
from sandgrain.graph.dtypes import INT16, INT32, UINT8
from sandgrain.graph.ir import Graph, State
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import Step


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How a graph's front streams. Positions of nodes are those of the planned graph."""

    filters: tuple[int, ...]  # nodes that turn samples into samples
    window: int  # samples, after the filters, that the ring holds
    hop: int  # samples by which the ring slides
    frame: int | None  # the node that makes a row of the ring, None if the model reads the whole window
    count: int  # rows in a window
    held: int  # the tensor that the rings stand for
    channels: int  # of the signal
    stride: int  # rows (windows where there is no frame op) from one result to the next

    @property
    def front(self) -> tuple[int, ...]:
        """The nodes that run on samples or frames, in the stream's own memory."""
        return (*self.filters, *(() if self.frame is None else (self.frame,)))


@dataclass(frozen=True, slots=True)
class OutsideArena:
    """What a stream keeps out of the arena: `tensors` that exist only as samples or rows in its own memory, `nodes` whose
    scratch is there, and `late`, a tensor that is put into the arena only when its node's scratch is free again."""

    tensors: frozenset[int] = frozenset()
    nodes: frozenset[int] = frozenset()
    late: int = -1


def outside(graph: Graph, stream: StreamPlan) -> OutsideArena:
    """See `OutsideArena`; nodes are the graph's, in its order."""
    made = {graph.nodes[n].outputs[0] for n in stream.front} - {stream.held}
    return OutsideArena(frozenset(made), frozenset(stream.filters), stream.held if stream.front else -1)


def stream_state(graph: Graph, stream: StreamPlan) -> tuple[State, ...]:
    """What a stream remembers: how full its rings are, the state of its filters, and the rings."""
    found = [State("held", INT32, (), "samples in the ring")]
    if stream.frame is not None:
        found.append(State("rows", INT32, (), "rows made so far, at most a window of them"))
        found.append(State("next", INT32, (), "where the next row goes: the oldest one's place"))
        found.append(State("wait", INT32, (), "rows until the next result"))
    for k, node in enumerate(stream.filters):
        step = _step(graph, node)
        assert step is not None
        if step.state:
            found.append(State(f"state_{k}", UINT8, (step.state,), f"of filter {k}"))
    found.append(State("samples", INT16, (stream.window * stream.channels,), "a ring"))
    if stream.frame is not None:
        rows = graph.tensors[stream.held]
        found.append(State("features", rows.dtype, (rows.size,), "a ring of rows"))
    return tuple(found)


def stream_plan(graph: Graph, stride: int) -> StreamPlan:
    """How `graph` streams with a result every `stride` samples. Raises UnsupportedError where it cannot."""
    if len(graph.inputs) != 1 or len(graph.tensors[graph.inputs[0]].shape) != 3:
        raise UnsupportedError("only a signal can be streamed; leave the stride out")
    readers, at = graph.consumers(), graph.inputs[0]
    filters: list[int] = []
    factor = 1
    node = _only(graph, readers, at)
    while node is not None and (step := _step(graph, node)) is not None and step.takes == "samples":
        filters.append(node)
        at = graph.nodes[node].outputs[0]
        factor *= step.factor
        node = _only(graph, readers, at)
    samples, channels = graph.tensors[at].shape[1:]
    stride = max(stride // factor, 1)
    step = _step(graph, node) if node is not None else None
    if node is None or step is None:
        if stride > samples:
            raise UnsupportedError(f"a stride of {stride} samples skips some of windows of {samples}; make it smaller")
        return StreamPlan(tuple(filters), samples, stride, None, 1, at, channels, 1)
    if step.refused:
        raise UnsupportedError(step.refused)
    if step.hop > step.window:
        raise UnsupportedError(
            f"frames {step.hop} samples apart that are {step.window} long leave gaps; make hop_ms the smaller one"
        )
    at = graph.nodes[node].outputs[0]
    rows = graph.tensors[at].shape[1]
    return StreamPlan(tuple(filters), step.window, step.hop, node, rows, at, channels, max(round(stride / step.hop), 1))


def lead_of(graph: Graph) -> int:
    """Samples that a graph takes in front of its window: the first of its input, which nothing comes out for."""
    step = _first(graph)
    return step.lead if step is not None else 0


def follows(graph: Graph) -> bool:
    """Whether each sample of a graph with a lead has its own: the samples just before it."""
    step = _first(graph)
    return step is not None and step.follows


def _first(graph: Graph) -> Step | None:
    """How the one node that reads the input runs in a stream."""
    node = _only(graph, graph.consumers(), graph.inputs[0]) if len(graph.inputs) == 1 else None
    return None if node is None else _step(graph, node)


def _only(graph: Graph, readers: dict[int, list[int]], tensor: int) -> int | None:
    """The one node that reads `tensor`, None where there are others or it is an output."""
    nodes = readers.get(tensor, [])
    return nodes[0] if len(nodes) == 1 and tensor not in graph.outputs else None


def _step(graph: Graph, node: int) -> Step | None:
    return OPS[graph.nodes[node].op].step(graph.view(graph.nodes[node]))
