"""Runs a graph by each op's numpy reference: the definition of what the IR means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS


def trace(graph: Graph, inputs: Sequence[Array]) -> list[Array | None]:
    """Every tensor's value, by tensor index, for one inference.

    `inputs`: one array per graph input, of its dtype and as many elements as its shape. Raises UsageError otherwise.
    """
    values: list[Array | None] = [None if t.data is None else t.data for t in graph.tensors]
    if len(inputs) != len(graph.inputs):
        raise UsageError(f"the model has {len(graph.inputs)} inputs, {len(inputs)} were given")
    for index, given in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensors[index]
        if given.dtype != tensor.dtype.numpy or given.size != tensor.size:
            raise UsageError(f"input {tensor.shape} {tensor.dtype} was given {given.shape} {given.dtype}")
        values[index] = given.reshape(tensor.shape)
    compute(graph, range(len(graph.nodes)), values)
    return values


def compute(graph: Graph, nodes: Iterable[int], values: list[Array | None]) -> None:
    """Fill in what `nodes`, in their order, give. `values`: by tensor index; those that the nodes read are there."""
    for node in (graph.nodes[k] for k in nodes):
        view = graph.view(node)
        results = OPS[node.op].reference(view, [None if i < 0 else values[i] for i in node.inputs])
        for index, tensor, value in zip(node.outputs, view.outputs, results, strict=True):
            assert value.shape == tensor.shape and value.dtype == tensor.dtype.numpy, (node.name, value.shape, value.dtype)
            values[index] = value


def run(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The graph's outputs for one inference; see `trace`."""
    values = trace(graph, inputs)
    outputs = [values[i] for i in graph.outputs]
    assert all(v is not None for v in outputs)
    return [v for v in outputs if v is not None]
