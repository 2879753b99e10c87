"""Which tensors share one scale, which scales are fixed, and integers for real ranges.

Sandgrain's int8 ops are TensorFlow Lite's: what only moves or selects elements keeps its input's scale, softmax, logistic and
tanh have fixed outputs: each op says so itself. `prepare` brings a float graph into a form where these rules can be kept; the indices of its tensors
stay what they were, so ranges found before it remain valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sandgrain.graph import reals
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.traits import ALL_INPUTS
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.quantization.calibrate import Range

TINY = 2.0**-40  # the smallest scale given out: ratios of scales stay within 32-bit multipliers


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A float graph ready to be quantized. `leader`: tensor -> the first tensor of those with which it shares a scale.

    `fixed`: leader -> the quantization that its group must have.
    """

    graph: Graph
    leader: tuple[int, ...]
    fixed: Mapping[int, Quantization]

    def groups(self) -> dict[int, list[int]]:
        """Leader -> every tensor of its group."""
        found: dict[int, list[int]] = {}
        for index, leader in enumerate(self.leader):
            found.setdefault(leader, []).append(index)
        return found


def prepare(graph: Graph, given: Mapping[int, Quantization] | None = None) -> Prepared:
    """Constants folded, activations fused, rows for fully connected layers; then `share`.

    `given`: the quantization of graph inputs that something before the model decides.
    """
    for change in (fold_constants, fuse_activations, flat_rows):
        graph = change(graph)
    return share(graph, given or {})


# --- the graph -------------------------------------------------------------------------------------------------------


def fold_constants(graph: Graph) -> Graph:
    """before: c = mul(K, 2); y = add(x, c)      after: y = add(x, 2 K)"""
    tensors, kept = list(graph.tensors), []
    for node in graph.nodes:
        known = all(i < 0 or tensors[i].data is not None for i in node.inputs)
        if not known or set(node.outputs) & set(graph.outputs):
            kept.append(node)
            continue
        now = replace(graph, tensors=tuple(tensors))
        values = {i: t.data for i, t in enumerate(tensors) if t.data is not None}
        for index, value in zip(node.outputs, reals.step(now, node, values), strict=True):
            tensors[index] = replace(tensors[index], data=np.ascontiguousarray(value[0]))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(kept))


def fuse_activations(graph: Graph) -> Graph:
    """before: t = conv_2d(x); y = relu(t)      after: y = conv_2d(x, relu)

    t then needs no levels for values that relu cuts off.
    """
    consumers, producers = graph.consumers(), graph.producers()
    nodes: list[Node | None] = list(graph.nodes)
    for n, node in enumerate(graph.nodes):
        maker = producers.get(node.inputs[0]) if OPS[node.op].fused_as else None
        before = None if maker is None else nodes[maker]
        if before is None or maker is None or before.attrs.get("activation") != "none":
            continue
        if len(consumers[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs:
            nodes[maker] = replace(
                before, outputs=node.outputs, attrs=attrs(**{**before.attrs, "activation": OPS[node.op].fused_as})
            )
            nodes[n] = None
    return replace(graph, nodes=tuple(n for n in nodes if n is not None))


def flat_rows(graph: Graph) -> Graph:
    """before: y = fully_connected(x [1, 9, 8])      after: y = reshape(fully_connected(reshape(x, [9, 8])), [1, 9, 4])

    One scale a unit is allowed on two dimensions only; a reshape is no code.
    """
    tensors, nodes = list(graph.tensors), []
    for node in graph.nodes:
        view = graph.view(node)
        if node.op != "fully_connected" or len(view.out.shape) == 2:
            nodes.append(node)
            continue
        units, depth = view.input(1).shape
        x, y = view.input(0), view.out
        rows = len(tensors)
        tensors.append(Tensor(f"{x.name}_rows", (x.size // depth, depth), "float32"))
        tensors.append(Tensor(f"{y.name}_rows", (y.size // units, units), "float32"))
        nodes += [
            Node("reshape", f"{node.name}_rows", node.inputs[:1], (rows,), attrs(shape=tensors[rows].shape)),
            replace(node, inputs=(rows, *node.inputs[1:]), outputs=(rows + 1,)),
            Node("reshape", f"{node.name}_shape", (rows + 1,), node.outputs, attrs(shape=y.shape)),
        ]
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))


# --- sharing ---------------------------------------------------------------------------------------------------------


class _Groups:
    """Union-find over tensors; a group may have a fixed quantization."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))
        self.fixed: dict[int, Quantization] = {}

    def add(self) -> None:
        self.parent.append(len(self.parent))

    def find(self, index: int) -> int:
        while self.parent[index] != index:
            index = self.parent[index]
        return index

    def fix(self, index: int, quant: Quantization) -> None:
        self.fixed[self.find(index)] = quant

    def join(self, a: int, b: int) -> None:
        """One group of both; at most one of them may be fixed, or both alike."""
        first, second = sorted((self.find(a), self.find(b)))
        if first == second:
            return
        self.parent[second] = first
        if second in self.fixed:
            self.fixed[first] = self.fixed.pop(second)


def share(graph: Graph, given: Mapping[int, Quantization]) -> Prepared:
    """The groups of tensors that have one scale. Where a fixed scale meets another in an op of several inputs, a `quantize`
    layer is put between: before: y = concatenation(logistic(x), z)      after: y = concatenation(quantize(logistic(x)), z)
    """
    groups = _Groups(len(graph.tensors))
    for index, quant in given.items():
        groups.fix(index, quant)
    for node in graph.nodes:
        fixed = OPS[node.op].fixed_output
        if fixed is not None:
            groups.fix(node.outputs[0], fixed)
    for node in graph.nodes:
        if OPS[node.op].same_scale_inputs != ALL_INPUTS:
            for index in node.inputs[OPS[node.op].same_scale_inputs]:
                for other in node.outputs:
                    groups.join(index, other)
    tensors, nodes = list(graph.tensors), list[Node]()
    for node in graph.nodes:
        if OPS[node.op].same_scale_inputs == ALL_INPUTS:
            node = _join_inputs(node, groups, tensors, nodes)
        nodes.append(node)
    leader = tuple(groups.find(i) for i in range(len(tensors)))
    return Prepared(replace(graph, tensors=tuple(tensors), nodes=tuple(nodes)), leader, dict(groups.fixed))


def _join_inputs(node: Node, groups: _Groups, tensors: list[Tensor], nodes: list[Node]) -> Node:
    """The node with all its inputs in its output's group; those that cannot be there go through a new `quantize`."""
    fixed = [groups.fixed.get(groups.find(i)) for i in node.inputs]
    alike = fixed[0] is not None and all(f == fixed[0] for f in fixed)
    inputs = []
    for index, quant in zip(node.inputs, fixed, strict=True):
        if quant is not None and not alike:
            new = len(tensors)
            tensors.append(replace(tensors[index], name=f"{tensors[index].name}_rescaled"))
            groups.add()
            nodes.append(Node("quantize", tensors[new].name, (index,), (new,)))
            index = new
        groups.join(node.outputs[0], index)
        inputs.append(index)
    return replace(node, inputs=tuple(inputs))


# --- integers --------------------------------------------------------------------------------------------------------


def affine(r: Range) -> Quantization:
    """All steps of an activation from `r.low` to `r.high`, the zero point moved to the nearest integer (Jacob et al. 2017, section 3)."""
    scale = (r.high - r.low) / ACTIVATION.span
    if not scale > TINY:
        return per_tensor(1.0 / ACTIVATION.span if r.high == r.low else TINY, ACTIVATION.low if r.low == 0 else 0)
    zero_point = round(ACTIVATION.low - r.low / scale)
    return per_tensor(scale, min(max(zero_point, ACTIVATION.low), ACTIVATION.high))


def limits(q: Quantization) -> Range:
    """The least and the greatest real value that `q` can hold."""
    return Range(q.scale[0] * (ACTIVATION.low - q.zero_point[0]), q.scale[0] * (ACTIVATION.high - q.zero_point[0]))
