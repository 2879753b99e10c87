"""Building blocks for the random one-op graphs of `Op.sample`."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Attrs, Graph, Node, Tensor
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.quantization import Quantization, per_tensor

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17)  # around the vector widths


def draw_quant(draw: Draw, low: float = 0.002, high: float = 0.2) -> Quantization:
    """A per-tensor quantization with a random scale and any zero point."""
    return per_tensor(draw.real(low, high), draw_point(draw))


def draw_point(draw: Draw) -> int:
    """Any zero point of an activation."""
    return draw.integer(ACTIVATION.low, ACTIVATION.high)


def activation_tensor(name: str, shape: Sequence[int], quant: Quantization) -> Tensor:
    return Tensor(name, tuple(shape), ACTIVATION, quant)


def one_op(op: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], attrs: Attrs) -> Graph:
    """A graph of a single node; the inputs without data are the graph's inputs."""
    tensors = [t for t in inputs if t is not None] + list(outputs)
    index = {id(t): k for k, t in enumerate(tensors)}
    node_inputs = tuple(-1 if t is None else index[id(t)] for t in inputs)
    node_outputs = tuple(index[id(t)] for t in outputs)
    graph_inputs = tuple(dict.fromkeys(i for i in node_inputs if i >= 0 and tensors[i].data is None))
    return Graph(op, tuple(tensors), (Node(op, op, node_inputs, node_outputs, attrs),), graph_inputs, node_outputs)
