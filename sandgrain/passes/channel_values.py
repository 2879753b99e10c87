"""What each channel of each int8 tensor can hold, whatever the model is given: an interval that is never too small.

A channel is an index of the last axis. Each op says what its outputs can hold (`Op.interval`); where it does not, any int8.
"""

from __future__ import annotations

from sandgrain.ir import Graph
from sandgrain.ops import OPS
from sandgrain.ops.channels import Interval, anything, held


def channel_ranges(graph: Graph) -> dict[int, Interval]:
    """Tensor index -> `Interval`, for the int8 tensors."""
    known: dict[int, Interval] = {}
    for index, tensor in enumerate(graph.tensors):
        if tensor.dtype == "int8":
            known[index] = anything(tensor) if tensor.data is None else held(tensor.data)
    for node in graph.nodes:
        if all(i in known for i in (*node.inputs[:1], *node.outputs)):
            made = OPS[node.op].interval(graph.view(node), [known[i] for i in node.inputs if i in known])
            if made is not None:
                known.update(zip(node.outputs, made, strict=True))
    return known
