"""The float graph with an int8 graph's rounding put into it, weight by weight and value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization
from sandgrain.quantization.convert import Quantized
from sandgrain.quantization.weights import dequantized


def fake(values: Array, quant: Quantization | None) -> Array:
    """The real values for which the nearest integers of `quant` stand; as they are without one."""
    if quant is None:
        return values
    scale, zero_point = np.float32(quant.scale[0]), quant.zero_point[0]
    real = values / scale
    nearest = np.copysign(np.floor(np.abs(real) + np.float32(0.5)), real)  # halves away from zero, as quant.quantize
    steps = np.clip(nearest, ACTIVATION.low - zero_point, ACTIVATION.high - zero_point)
    return np.asarray(steps * scale, np.float32)


def rounded_weights(quantized: Quantized) -> dict[int, Array]:
    """Weights' tensor of the float graph -> the real weights of the int8 graph."""
    made = quantized.graph.producers()
    found: dict[int, Array] = {}
    for node in quantized.floats.nodes:
        if OPS[node.op].weights:
            twin = quantized.graph.nodes[made[quantized.tensors[node.outputs[0]]]]
            for weight in OPS[node.op].weights:
                found[node.inputs[weight.position]] = dequantized(quantized.graph.tensors[twin.inputs[weight.position]])
    return found


def with_data(graph: Graph, data: Mapping[int, Array]) -> Graph:
    """The graph with other constants; indices stay."""
    tensors = tuple(replace(t, data=data[i]) if i in data else t for i, t in enumerate(graph.tensors))
    return replace(graph, tensors=tensors)
