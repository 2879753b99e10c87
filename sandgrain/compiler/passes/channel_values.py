"""What each channel of each tensor of small integers can hold, whatever the model is given: an interval that is never too small.

A channel is an index of the last axis. Each op says what its outputs can hold (`Op.interval`); where it does not, any value of its type.
"""

from __future__ import annotations

from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.channels import Interval, anything, held

MAX_BITS = 16  # of types whose values are tried one by one


def channel_ranges(graph: Graph) -> dict[int, Interval]:
    """Tensor index -> `Interval`, for the tensors of integers of at most 16 bits."""
    known: dict[int, Interval] = {}
    for index, tensor in enumerate(graph.tensors):
        if not tensor.dtype.is_float and tensor.dtype.bits <= MAX_BITS:
            known[index] = anything(tensor) if tensor.data is None else held(tensor.data)
    for node in graph.nodes:
        if all(i in known for i in (*node.inputs[:1], *node.outputs)):
            made = OPS[node.op].interval(graph.view(node), [known[i] for i in node.inputs if i in known])
            if made is not None:
                known.update(zip(node.outputs, made, strict=True))
    return known
