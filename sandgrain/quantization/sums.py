"""An int8 network whose last layer gives its sums: one number with the precision of its accumulators instead of 256 steps."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.base.errors import UnsupportedError
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import per_tensor

OTHERWISE = "a model that gives a number ends in one linear layer with a bias and no activation; end it so"


def with_sums(graph: Graph, unit: float = 1.0) -> Graph:
    """The network with one int32 output in place of one int8: the last fully connected layer's sums.

    before: ... -> fully_connected -> int8 [1, 1] (-> reshape)
    after:  ... -> dense_sum -> int32 [1, 1], in steps of input scale x weight scale x `unit`

    `unit`: what 1 of the network's output stands for. Raises UnsupportedError for a network that ends otherwise.
    """
    made_by = {node.outputs[0]: node for node in graph.nodes}
    out = graph.outputs[0]
    while out in made_by and OPS[made_by[out].op].is_view:
        out = made_by[out].inputs[0]
    node = made_by.get(out)
    if len(graph.outputs) != 1 or node is None or not _is_linear(graph, node):
        raise UnsupportedError(OTHERWISE)
    view = graph.view(node)
    scale = view.input(0).scale * view.input(1).scale
    tensors = list(graph.tensors)
    tensors[out] = Tensor("number", (1, 1), "int32", per_tensor(scale * unit, 0))
    place = graph.nodes.index(node)
    sums = Node("dense_sum", node.name, node.inputs, node.outputs)
    made = replace(graph, tensors=tuple(tensors), nodes=(*graph.nodes[:place], sums), outputs=(out,))
    rules.check(made)
    return made


def _is_linear(graph: Graph, node: Node) -> bool:
    """Whether a node is a fully connected layer with one output, whose sums nothing changes but a scale."""
    view = graph.view(node)
    plain = OPS[node.op].linear is not None and node.attrs.get("activation") == "none" and "clamp" not in node.attrs
    return plain and len(view.input(1).shape) == 2 and view.out.size == 1 and len(node.inputs) > 2 and node.inputs[2] >= 0
