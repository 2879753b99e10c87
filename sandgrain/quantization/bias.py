"""Empirical bias correction: rounding shifts a layer's mean output; the bias takes the shift back.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.2 and appendix D: layer
after layer, with everything before it already quantized and corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph, Node, attrs
from sandgrain.graph.ops import OPS
from sandgrain.quantization.convert import Quantized
from sandgrain.quantization.twins import fake, rounded_weights, with_data

MAX_SAMPLES = 128  # that are held at once, every live activation twice


def corrected(quantized: Quantized, inputs: Sequence[Array]) -> Graph:
    """`quantized.floats` with biases that give every output channel of an int8 layer the mean of the float one.

    `inputs`: calibration samples, float32 [n, *shape] for each graph input; the first MAX_SAMPLES count. A layer without a
    bias is left alone. Convert the result with the same ranges.
    """
    graph, scales = quantized.floats, quantized.scales
    twin = with_data(graph, rounded_weights(quantized))
    exact = reals.start(graph, [x[:MAX_SAMPLES] for x in inputs])
    rounded = {i: fake(v, scales.get(i)) for i, v in exact.items()}
    biases: dict[int, Array] = {}
    last = {i: k for k, node in enumerate(graph.nodes) for i in (*node.inputs, *node.outputs)}
    for position, node in enumerate(graph.nodes):
        if OPS[node.op].linear and len(node.inputs) > 2 and node.inputs[2] >= 0:
            shift = _mean(graph, node, exact) - _mean(twin, node, rounded)
            bias = graph.view(node).const(2)
            biases[node.inputs[2]] = (bias + shift.reshape(bias.shape)).astype(np.float32)
            twin = with_data(twin, biases)
        exact.update(zip(node.outputs, reals.step(graph, node, exact), strict=True))
        for index, value in zip(node.outputs, reals.step(twin, node, rounded), strict=True):
            rounded[index] = fake(value, scales.get(index))
        for index in [i for i, k in last.items() if k == position]:
            exact.pop(index, None)
            rounded.pop(index, None)
    return with_data(graph, biases)


def _mean(graph: Graph, node: Node, values: reals.Values) -> npt.NDArray[np.float64]:
    """Mean of each output channel before the activation."""
    linear = replace(node, attrs=attrs(**{**node.attrs, "activation": "none"}))
    (out,) = reals.step(graph, linear, values)
    return np.asarray(out.reshape(-1, out.shape[-1]).mean(axis=0, dtype=np.float64))
