"""A second opinion on a model's outputs: TensorFlow Lite Micro, on the whole model or on each layer that a .tflite can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sandgrain.base.errors import SandgrainError
from sandgrain.base.text import printable
from sandgrain.bundle.samples import DataSet
from sandgrain.bundle.store import Origin
from sandgrain.bundle.verdict import TFLM
from sandgrain.device.run.tflm import OracleError, TflmOracle, available
from sandgrain.formats import text
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, Node

MISSING = "pip install tflite-micro"
FEW = 4  # samples of a layer that runs alone


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """`says`: what was asked about what, or why nothing was. `outputs`: of the whole model, each [n, ...], None where it was not run.

    `wrong`: of layers that ran alone, the first that gives something else than the reference.
    """

    says: str
    outputs: list[Array] | None = None
    asked: bool = True
    wrong: str = ""


def none(why: str) -> Opinion:
    """No opinion, and why: of TensorFlow Lite Micro, where the model is more than features."""
    return Opinion(f"none: {why}", asked=False)


def opinion(origin: Origin, graph: Graph, data: DataSet) -> Opinion:
    """What TensorFlow Lite Micro gives for the samples. `graph`: of the model with its features, as the bundle's proof says it."""
    if origin.model is None:
        return none("features have no other implementation")
    if not available():
        return none(MISSING)
    try:
        if text.is_text(origin.model):
            return _by_layer(graph, data)
        return Opinion(f"{TFLM} on the whole model", _whole(origin, graph, data))
    except OracleError as error:
        return none(printable(str(error), 160))


def _whole(origin: Origin, graph: Graph, data: DataSet) -> list[Array]:
    """Where there is a front end TFLM is given the features of the reference."""
    assert origin.model is not None
    samples = [[x[s] for x in data.inputs] for s in range(data.samples)]
    if origin.front is not None:
        model = text.read_any(origin.model, "model")
        features, shape = origin.front.graph(model), model.tensors[model.inputs[0]].shape
        samples = [[interpret.run(features, sample)[0].reshape(shape)] for sample in samples]
    with TflmOracle() as oracle:
        rows = oracle.run(origin.model, samples)
    shapes = [graph.tensors[i].shape for i in graph.outputs]
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return [c.reshape(-1, *shape) for c, shape in zip(columns, shapes, strict=True)]


# --- layer by layer ------------------------------------------------------------------------------------------------------------


def _by_layer(graph: Graph, data: DataSet) -> Opinion:
    """Each layer alone, from the reference's inputs of it: a model that no .tflite holds has layers that one holds."""
    traced = [interpret.trace(graph, [x[s] for x in data.inputs]) for s in range(min(data.samples, FEW))]
    agreed = layers = 0
    with TflmOracle() as oracle:
        for node in graph.nodes:
            layers += 1
            same = _agrees(oracle, graph, node, traced)
            if same is False:
                return Opinion(f"{TFLM} on each layer that it has", wrong=f"{node.op} {printable(node.name)}")
            agreed += same is True
    if not agreed:
        return none("it has no such model")
    return Opinion(f"{TFLM} on {agreed} of {layers} layers, each alone; the others it does not have")


def _agrees(oracle: TflmOracle, graph: Graph, node: Node, traced: Sequence[Sequence[Array | None]]) -> bool | None:
    """Whether TFLM gives a layer's outputs; None where it does not have it."""
    alone, given = _alone(graph, node)
    try:
        model = text.write_any(alone)
        if not given or text.is_text(model):
            return None
        rows = oracle.run(model, [[np.asarray(values[i]) for i in given] for values in traced])
    except SandgrainError:
        return None
    return all(
        np.array_equal(np.asarray(values[t]).reshape(-1), y.reshape(-1), equal_nan=True)
        for values, row in zip(traced, rows, strict=True)
        for t, y in zip(node.outputs, row, strict=True)
    )


def _alone(graph: Graph, node: Node) -> tuple[Graph, list[int]]:
    """A graph of one layer, and the tensors of `graph` that it is given."""
    used = list(dict.fromkeys(i for i in (*node.inputs, *node.outputs) if i >= 0))
    place = {tensor: k for k, tensor in enumerate(used)}
    given = [i for i in used if i not in node.outputs and graph.tensors[i].data is None]
    layer = Node(
        node.op, node.name, tuple(place.get(i, -1) for i in node.inputs), tuple(place[i] for i in node.outputs), node.attrs
    )
    tensors = tuple(graph.tensors[i] for i in used)
    return Graph("layer", tensors, (layer,), tuple(place[i] for i in given), layer.outputs), given
