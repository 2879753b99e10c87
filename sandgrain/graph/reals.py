"""Runs a graph of floats in batches, by each op's meaning in real numbers (`Op.real`).

Values are float32 [n, *shape]: n inferences at once, each with the tensor's own shape (its batch dimension included).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.graph.ir import Array, Graph, Node, View
from sandgrain.graph.ops import OPS

Values = dict[int, Array]
BATCH = 32  # inferences at once where a caller gives no number: keeps the columns of a convolution near the caches


def run(graph: Graph, inputs: Array | Sequence[Array], edit: Callable[[int, Array], Array] | None = None) -> Values:
    """Every tensor's value, by tensor index: constants as they are, all others float32 [n, *shape] (indices int32).

    `inputs`: float32 (int32 where the graph says so) [n, *shape], one array a graph input (or the only one). `edit(index, value)` may replace an input's or
    a node's value before others read it. Raises UsageError for other shapes, UnsupportedError for an op without floats.
    """
    values = start(graph, inputs)
    count = len(values[graph.inputs[0]])
    if edit is not None:
        for index in graph.inputs:
            values[index] = edit(index, values[index])
    for node in graph.nodes:
        for index, value in zip(node.outputs, step(graph, node, values), strict=True):
            value = np.broadcast_to(value, (count, *value.shape[1:]))  # of constants alone, it was computed once
            values[index] = value if edit is None else edit(index, value)
    return values


def outputs(graph: Graph, inputs: Array | Sequence[Array], batch: int = BATCH) -> list[Array]:
    """The graph's outputs alone, `batch` inferences at a time."""
    parts = [[values[i] for i in graph.outputs] for values in batches(graph, inputs, batch)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def batches(graph: Graph, inputs: Array | Sequence[Array], batch: int = BATCH) -> Iterator[Values]:
    """`run` over pieces of at most `batch` inferences."""
    arrays = (inputs,) if isinstance(inputs, np.ndarray) else tuple(inputs)
    for first in range(0, len(arrays[0]), batch):
        yield run(graph, [x[first : first + batch] for x in arrays])


def start(graph: Graph, inputs: Array | Sequence[Array]) -> Values:
    """The values that are known before the first node: constants and inputs."""
    arrays = (inputs,) if isinstance(inputs, np.ndarray) else tuple(inputs)
    if len(arrays) != len(graph.inputs) or len({len(x) for x in arrays}) != 1:
        raise UsageError(f"the model has {len(graph.inputs)} inputs; give as many arrays, of the same number of samples")
    values: Values = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None}
    for index, x in zip(graph.inputs, arrays, strict=True):
        shape, dtype = graph.tensors[index].shape, graph.tensors[index].dtype
        if x[0].size != graph.tensors[index].size:
            raise UsageError(f"samples of {x.shape[1:]}; the model takes {shape}")
        values[index] = np.asarray(x, dtype.numpy).reshape(len(x), *shape)
    return values


def step(graph: Graph, node: Node, values: Values) -> Sequence[Array]:
    """The outputs of one node."""
    view = graph.view(node)
    inputs = [_batched(view, k, values[i]) for k, i in enumerate(node.inputs) if i >= 0]
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # whoever reads the values looks for those that are not finite
            return OPS[node.op].real(view, inputs)
    except UnsupportedError as error:
        raise UnsupportedError(f"{node.name}: {error}") from None


def _batched(view: View, position: int, value: Array) -> Array:
    """A constant gets a batch dimension of 1; weights and biases, which the functions take from the view, as well."""
    tensor = view.inputs[position]
    return value[None] if tensor is not None and tensor.data is not None else value
