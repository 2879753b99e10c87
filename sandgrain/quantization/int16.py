"""A float graph to a 16x8 graph: int16 activations, int8 weights, int64 biases, as TensorFlow Lite's 16x8 kernels compute.

Sandgrain does not run such graphs; they are made to be exported. Activations are symmetric: one scale a tensor, no zero point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sandgrain.base.errors import UnsupportedError, printable, unsupported
from sandgrain.graph import rules
from sandgrain.graph.ir import Array, Graph, Node, Tensor, with_nodes
from sandgrain.graph.ops import OPS, Op
from sandgrain.graph.ops.elementwise.add_sub import Sum
from sandgrain.graph.ops.traits import OWN_OUTPUT
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.quantization.calibrate import Calibration, Range, Ranges, calibrate, hull, span
from sandgrain.quantization.convert import data_inputs
from sandgrain.quantization.rounding import Rounded, round_weights
from sandgrain.quantization.scales import TINY, Prepared, prepare
from sandgrain.quantization.weights import quantize_pair

LEVEL_MAX = 2**15 - 1
ACCUMULATOR_MAX = 2**46  # TensorFlow Lite rescales 64-bit sums of less than 2^47
UNIT = per_tensor(2.0**-15, 0)  # of softmax, logistic, tanh and lstm
ADD_BITS = 15  # by which the inputs of a sum are shifted left before they are rescaled
MAX_RATIO = 2.0**7  # of a product's scale to the output's: more is shifted out of 64 bits


def quantize_int16(graph: Graph, inputs: Sequence[Array], how: Calibration | None = None) -> Graph:
    """The 16x8 graph of a float graph.

    `inputs`: calibration samples, float32 [n, *shape] for each graph input. `how` ranges are found: by default nothing is cut off,
    as 65,536 levels reach far. The graph's inputs and outputs are int16.

    Raises UnsupportedError, which names every layer that has no int16 kernel, ModelError for a broken graph, UsageError for samples
    that do not fit.
    """
    rules.check(graph, "float")
    prepared = prepare(graph)
    _refuse(prepared.graph)
    ranges = calibrate(prepared.graph, inputs, how)
    rounded = round_weights(prepared.graph, inputs)
    return _build(rounded, _scales(prepared, ranges))


def has_kernel(op: Op) -> bool:
    """Whether TensorFlow Lite Micro computes it in int16. A graph with another op is refused, whatever ops are added."""
    return any(f.int16 for f in op.foreign)


def _refuse(graph: Graph) -> None:
    lacking = [n for n in graph.nodes if not has_kernel(OPS[n.op])]
    if lacking:
        fact = "TensorFlow Lite Micro has no int16 kernel for it; export the model as int8 or float"
        raise unsupported([f"{printable(n.name)} ({n.op}): {fact}" for n in lacking])


# --- scales ----------------------------------------------------------------------------------------------------------


def _scales(prepared: Prepared, ranges: Ranges) -> dict[int, Quantization]:
    """Of every activation and every constant that is read as one. What int8 fixes lies within -1 .. 1, and is fixed here, too."""
    graph, groups = prepared.graph, prepared.groups()
    weights = {i for n in graph.nodes if OPS[n.op].trained for i in n.inputs[1:]}
    found: dict[int, Quantization] = {}
    for leader, members in groups.items():
        used = [i for i in members if i not in weights and graph.tensors[i].dtype == "float32"]
        seen = [r for i in used if (r := _range(graph.tensors[i], ranges.get(i))) is not None]
        quant = UNIT if leader in prepared.fixed else _symmetric(hull(seen)) if seen else None
        if quant is not None:
            found.update(dict.fromkeys(used, quant))
    for node in graph.nodes:
        if isinstance(OPS[node.op], Sum):  # the kernel's last multiplier must be below 1
            least = 2 * max(found[i].scale[0] for i in node.inputs) / 2**ADD_BITS
            (out,) = node.outputs
            if found[out].scale[0] <= least:
                members = groups[prepared.leader[out]]
                found.update(dict.fromkeys((i for i in members if i in found), per_tensor(1.001 * least, 0)))
    return found


def _range(tensor: Tensor, seen: Range | None) -> Range | None:
    return seen if tensor.data is None else span(tensor.data.min(), tensor.data.max())


def _symmetric(r: Range) -> Quantization:
    peak = max(-r.low, r.high)
    return per_tensor(max(peak / LEVEL_MAX, TINY), 0) if peak else UNIT


# --- tensors ---------------------------------------------------------------------------------------------------------


def _build(rounded: Rounded, scales: Mapping[int, Quantization]) -> Graph:
    graph = rounded.graph
    tensors = [_activation(t, scales.get(i)) for i, t in enumerate(graph.tensors)]
    nodes = []
    for node in graph.nodes:
        if OPS[node.op].weights:
            with rules.located(f"{printable(node.name)} ({node.op})"):
                node = _weighted(rounded, node, scales, tensors)
        elif node.outputs[0] in scales:
            values = OPS[node.op].integer_attrs(node.attrs, scales[node.outputs[0]])
            node = replace(node, inputs=data_inputs(node), attrs=values)
        nodes.append(node)
    return with_nodes(replace(graph, tensors=tuple(tensors)), nodes)


def _activation(tensor: Tensor, quant: Quantization | None) -> Tensor:
    if quant is None:
        return replace(tensor)
    return Tensor(tensor.name, tensor.shape, "int16", quant, None if tensor.data is None else levels(tensor.data, quant))


def levels(real: Array, quant: Quantization) -> Array:
    """`real` as int16 under a scale without a zero point."""
    steps: Array = np.clip(np.rint(real / np.float32(quant.scale[0])), -LEVEL_MAX, LEVEL_MAX).astype(np.int16)
    return steps


def _weighted(rounded: Rounded, node: Node, scales: Mapping[int, Quantization], tensors: list[Tensor]) -> Node:
    """The node with int8 weights, one scale a channel where the format has it, and int64 biases."""
    op, view, inputs, out = OPS[node.op], rounded.graph.view(node), list(node.inputs), scales[node.outputs[0]]
    for weight in op.weights:
        place, bias_place = weight.position, weight.bias
        source = out if weight.source == OWN_OUTPUT else scales[node.inputs[weight.source]]
        known = rounded.scales.get(node.inputs[place])
        weights = quantize_pair(view.input(place), None, weight.channel_axis, source, weight.per_channel, known).weights
        assert weights.quant is not None
        if op.linear and source.scale[0] * max(weights.quant.scale) >= MAX_RATIO * out.scale[0]:
            raise UnsupportedError("outputs far smaller than the products they are sums of; export the model as float")
        inputs[place] = len(tensors)
        tensors.append(weights)
        bias = None if bias_place is None else view.optional(bias_place)
        if bias is not None and bias_place is not None:
            inputs[bias_place] = len(tensors)
            tensors.append(_bias(bias, source, weights.quant))
    return replace(node, inputs=tuple(inputs))


def _bias(bias: Tensor, source: Quantization, weights: Quantization) -> Tensor:
    assert bias.data is not None
    unit = source.scale[0] * np.asarray(weights.scale, np.float64)
    steps = np.rint(bias.data.reshape(-1).astype(np.float64) / unit)
    data = np.clip(steps, -ACCUMULATOR_MAX, ACCUMULATOR_MAX).astype(np.int64)
    scale = tuple(float(s) for s in unit.astype(np.float32))
    return Tensor(bias.name, data.shape, "int64", Quantization(scale, (0,) * len(scale), 0 if len(scale) > 1 else None), data)
