"""What a stream gives, in numpy: the meaning of NAME_push, whatever the chunks in which samples come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sandgrain.compiler.plan.stream import StreamPlan
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, View
from sandgrain.graph.ops import OPS


def samples_per_result(graph: Graph, stream: StreamPlan) -> int:
    """Samples of every channel from one result to the next."""
    return stream.stride * stream.hop * samples_per_sample(graph, stream)


def samples_per_sample(graph: Graph, stream: StreamPlan) -> int:
    """Samples that go into the filters for each that comes out."""
    factor = 1
    for node in stream.filters:
        step = OPS[graph.nodes[node].op].step(graph.view(graph.nodes[node]))
        assert step is not None
        factor *= step.factor
    return factor


def rows(graph: Graph, stream: StreamPlan, signal: Array) -> Array:
    """What the rings take of a signal [n, channels] from a stream's start: rows, or filtered samples, in the order of time."""
    made = signal[np.newaxis]
    for node in (graph.nodes[k] for k in stream.front):
        view, op = graph.view(node), OPS[node.op]
        inputs = (replace(view.input(0), shape=made.shape), *view.inputs[1:])
        (shape,) = op.shapes(inputs, node.attrs)
        longer = View(node, inputs, (replace(view.out, shape=shape),))
        (made,) = op.reference(longer, [made, *(None if t is None else t.data for t in inputs[1:])])
    return np.asarray(made[0])


def results(graph: Graph, stream: StreamPlan, ring: Array) -> list[Array]:
    """The model's first output for each window of `rows`, as the results of a stream come."""
    long, every = (stream.window, stream.hop) if stream.frame is None else (stream.count, stream.stride)
    behind = [k for k in range(len(graph.nodes)) if k not in stream.front]
    found = []
    for first in range(0, len(ring) - long + 1, every):
        values = [t.data for t in graph.tensors]
        values[stream.held] = ring[first : first + long].reshape(graph.tensors[stream.held].shape)
        interpret.compute(graph, behind, values)
        result = values[graph.outputs[0]]
        assert result is not None
        found.append(result)
    return found
