"""A float graph to an int8 graph: the integers that Sandgrain's ops compute with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sandgrain.base.errors import UsageError, printable
from sandgrain.graph import rules
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, Node, Tensor, with_nodes
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.traits import OWN_OUTPUT
from sandgrain.graph.quantization import Quantization, quantize
from sandgrain.quantization.calibrate import Range, Ranges, hull, span
from sandgrain.quantization.scales import Prepared, affine, prepare
from sandgrain.quantization.weights import Weighted, gate_scales, quantize_norm, quantize_pair

Scales = Mapping[int, Quantization]


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """An int8 graph and where it came from.

    `graph`: int8, legal by `spec.check`. `floats`: the float graph that it stands for, prepared (and equalized). `tensors`:
    tensor of `floats` -> tensor of `graph`. `ranges`: of the activations of `floats`, before scales were shared.
    `scales`: tensor of `floats` -> quantization.
    """

    graph: Graph
    floats: Graph
    tensors: Mapping[int, int]
    ranges: Ranges
    scales: Scales


def convert_with_ranges(
    graph: Graph,
    ranges: Mapping[int, Range],
    *,
    given: Scales | None = None,
    per_channel: bool = True,
    weight_scales: Mapping[int, Array] | None = None,
) -> Quantized:
    """The int8 graph of a float graph whose activation ranges are known, from calibration or from training.

    `ranges`: tensor index of `graph` -> (low, high); tensors that share a scale need only one between them. `given`:
    quantizations that are decided already (an input's by its front end), by tensor index; it must be an input's or agree with
    the op. `weight_scales`: weights' tensor index -> float32 [channels], where they have been learned.

    Raises UsageError for a tensor without a range, ModelError or UnsupportedError where the int8 ops cannot do it.
    """
    rules.check(graph, "float")
    prepared = prepare(graph, given)
    scales = activation_scales(prepared, ranges)
    return build(prepared.graph, scales, ranges, per_channel, weight_scales or {})


def activation_scales(prepared: Prepared, ranges: Mapping[int, Range]) -> dict[int, Quantization]:
    """The quantization of every float tensor that is not a weight or a bias: its group's fixed one, or of its range."""
    graph, found = prepared.graph, {}
    wanted = activations(graph)
    for leader, members in prepared.groups().items():
        used = [i for i in members if i in wanted]
        if not used:
            continue
        quant = prepared.fixed.get(leader)
        if quant is None:
            known = [_range(graph, i, ranges) for i in used]
            held = [r for r in known if r is not None]
            if not held:
                raise UsageError(f"no range for {printable(graph.tensors[used[0]].name)}; calibrate it, or give one")
            quant = affine(hull(held))
        found.update(dict.fromkeys(used, quant))
    return found


def activations(graph: Graph) -> set[int]:
    """Float tensors that carry one scale: all but the weights and biases of weighted layers."""
    found = set(graph.inputs)
    for node in graph.nodes:
        reads = node.inputs[:1] if OPS[node.op].trained else data_inputs(node)
        found.update(i for i in (*reads, *node.outputs) if i >= 0)
    return {i for i in found if graph.tensors[i].dtype == "float32"}


def data_inputs(node: Node) -> tuple[int, ...]:
    """The inputs that the integer node reads."""
    return node.inputs[: OPS[node.op].data_inputs]


def _range(graph: Graph, index: int, ranges: Mapping[int, Range]) -> Range | None:
    data = graph.tensors[index].data
    if data is not None:
        return span(data.min(), data.max())
    found = ranges.get(index)
    if found is None:
        return None
    if not (np.isfinite(found.low) and np.isfinite(found.high) and found.low <= found.high):
        raise UsageError(f"{printable(graph.tensors[index].name)} has the range {found.low:g} to {found.high:g}")
    return span(*found)


def build(
    floats: Graph,
    scales: Mapping[int, Quantization],
    ranges: Mapping[int, Range],
    per_channel: bool,
    learned: Mapping[int, Array],
) -> Quantized:
    constants = _Constants(floats, scales, per_channel, learned)
    tensors = [_activation(t, scales.get(i)) for i, t in enumerate(floats.tensors)]
    nodes = []
    for node in floats.nodes:
        if OPS[node.op].weights:
            node = constants.of(node, tensors)
        elif OPS[node.op].normalizes:
            made = quantize_norm(floats.view(node))
            node = replace(node, inputs=(node.inputs[0], len(tensors), len(tensors) + 1))
            tensors += made
        elif node.outputs[0] in scales:
            values = OPS[node.op].integer_attrs(node.attrs, scales[node.outputs[0]])
            node = replace(node, inputs=data_inputs(node), attrs=values)
        nodes.append(node)
    draft = replace(floats, tensors=tuple(tensors), nodes=tuple(nodes))
    graph = with_nodes(draft, nodes)
    rules.check(graph)
    place = {id(t): k for k, t in enumerate(graph.tensors)}
    kept = {i: place[id(t)] for i, t in enumerate(tensors) if id(t) in place}
    return Quantized(graph, floats, kept, dict(ranges), dict(scales))


def _activation(tensor: Tensor, quant: Quantization | None) -> Tensor:
    if quant is None:
        return replace(tensor)
    data = None if tensor.data is None else quantize(tensor.data, quant, ACTIVATION)
    return Tensor(tensor.name, tensor.shape, ACTIVATION, quant, data)


@dataclass(slots=True, eq=False)
class _Constants:
    """Integer weights and biases, appended to the tensors of the int8 graph; weights that two layers read stay one tensor."""

    floats: Graph
    scales: Mapping[int, Quantization]
    per_channel: bool
    learned: Mapping[int, Array]
    known: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def of(self, node: Node, tensors: list[Tensor]) -> Node:
        """The node with its integer constants."""
        inputs = list(node.inputs)
        for weight in OPS[node.op].weights:
            index, bias = node.inputs[weight.position], weight.bias
            quant = self.scales[node.outputs[0] if weight.source == OWN_OUTPUT else node.inputs[weight.source]]
            has_bias = bias is not None and bias < len(inputs) and inputs[bias] >= 0
            scales = self.learned.get(index)
            if scales is None and self.per_channel and weight.gates:
                scales = gate_scales(self.floats.view(node).const(weight.position), weight.gates)
            made = quantize_pair(
                self.floats.tensors[index],
                self.floats.tensors[node.inputs[bias]] if bias is not None and has_bias else None,
                weight.channel_axis,
                quant,
                self.per_channel and weight.per_channel,
                scales,
            )
            inputs[weight.position] = self._place(index, made, tensors)
            if made.bias is not None and bias is not None:
                inputs[bias] = len(tensors)
                tensors.append(made.bias)
        return replace(node, inputs=tuple(inputs))

    def _place(self, index: int, made: Weighted, tensors: list[Tensor]) -> int:
        assert made.weights.data is not None
        key = (index, made.weights.data.tobytes() + repr(made.weights.quant).encode())
        if key not in self.known:
            self.known[key] = len(tensors)
            tensors.append(made.weights)
        return self.known[key]
