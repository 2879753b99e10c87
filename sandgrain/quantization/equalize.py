"""Cross-layer equalization: channels of one activation brought to like ranges, so that they use like shares of its 256 levels.

relu(s x) = s relu(x) for s > 0, so channel i can be divided by s_i where one layer writes it and multiplied where the next one
reads it: the model's outputs stay what they were (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019, section 4.1). By "weights", s makes both layers' weight ranges equal, as there. By "activations", s follows
the ranges seen in calibration: with one scale a channel, weights of the first layer and of a depthwise second one follow for
nothing; for a dense second layer the difficulty is divided evenly between activation and weights (G. Xiao et al.,
"SmoothQuant", 2023, with alpha = 1/2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UsageError
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph, Node, View
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.traits import HOMOGENEOUS, Weight
from sandgrain.quantization.weights import channels_first, spread

CRITERIA = ("weights", "activations")
ROUNDS = 20  # of Nagel's iteration; it converges within a few
LIMIT = 8.0  # a channel is scaled by at most this: one that calibration hardly saw may be larger on other inputs

Factors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pair:
    """`first` and `second`: node indices of weighted layers. `tensor`: what `first` writes. Only layers through which a
    factor passes lie between the two, and nothing else reads what lies between.
    """

    first: int
    second: int
    tensor: int


def equalize(graph: Graph, inputs: Sequence[Array], criterion: str = "activations") -> Graph:
    """A graph that computes the same outputs, its activations' channels in like ranges. Tensor indices stay.

    `graph`: prepared (activations fused). `inputs`: calibration samples, float32 [n, *shape] for each graph input.
    """
    if criterion not in CRITERIA:
        raise UsageError(f"equalization by {criterion}; choose {' or '.join(CRITERIA)}")
    found = list(pairs(graph))
    if criterion == "weights":
        return _by_weights(graph, found)
    peaks = channel_peaks(graph, inputs, [p.tensor for p in found])
    for pair in found:
        graph = apply(graph, pair, activation_factors(graph, pair, peaks[pair.tensor]))
    return graph


def _by_weights(graph: Graph, found: Sequence[Pair]) -> Graph:
    """Each pair changes the weights of its neighbours: round after round, the factors of all rounds together within LIMIT."""
    total = {pair: np.ones(graph.tensors[pair.tensor].shape[-1]) for pair in found}
    for _ in range(ROUNDS):
        for pair in found:
            wanted = np.clip(total[pair] * weight_factors(graph, pair), 1 / LIMIT, LIMIT)
            graph = apply(graph, pair, wanted / total[pair])
            total[pair] = wanted
    return graph


def pairs(graph: Graph) -> Iterator[Pair]:
    """Every pair of weighted layers between which a factor can move."""
    consumers = graph.consumers()
    users: dict[int, int] = {}
    for node in graph.nodes:
        for k in set(node.inputs[1:]) if OPS[node.op].linear else ():
            users[k] = users.get(k, 0) + 1
    for index, node in enumerate(graph.nodes):
        if not OPS[node.op].linear or node.attrs["activation"] not in HOMOGENEOUS:
            continue
        second = _reader(graph, consumers, node.outputs[0])
        own = [k for n in (node, *([graph.nodes[second]] if second is not None else [])) for k in n.inputs[1:] if k >= 0]
        if second is not None and all(users[k] == 1 for k in own):
            yield Pair(index, second, node.outputs[0])


def _reader(graph: Graph, consumers: dict[int, list[int]], tensor: int) -> int | None:
    """The weighted layer that reads `tensor`, straight or through layers that a factor passes."""
    channels = graph.tensors[tensor].shape[-1]
    while True:
        readers = consumers.get(tensor, [])
        if tensor in graph.outputs or len(readers) != 1:
            return None
        node = graph.nodes[readers[0]]
        weights = OPS[node.op].linear
        if weights:
            depth = channels if weights.depthwise else graph.tensors[node.inputs[1]].shape[-1]
            return readers[0] if node.inputs[0] == tensor and depth % channels == 0 else None
        if not OPS[node.op].passes_factors(graph.view(node), channels):
            return None
        tensor = node.outputs[0]


def linear(node: Node) -> Weight:
    """The weights of one of a pair's layers."""
    weights = OPS[node.op].linear
    assert weights is not None, node.op
    return weights


# --- factors ---------------------------------------------------------------------------------------------------------


def channel_peaks(graph: Graph, inputs: Sequence[Array], tensors: Sequence[int]) -> dict[int, Factors]:
    """Largest absolute value of each channel of `tensors` over the samples."""
    found = {t: np.zeros(graph.tensors[t].shape[-1]) for t in tensors}
    for values in reals.batches(graph, inputs):
        for t in found:
            found[t] = np.maximum(found[t], np.abs(values[t]).reshape(-1, values[t].shape[-1]).max(axis=0))
    return found


def weight_factors(graph: Graph, pair: Pair) -> Factors:
    """s_i = sqrt(r1_i r2_i) / r2_i: equation 11 of the paper, r1 and r2 the ranges of the two layers' weights."""
    first, second = graph.nodes[pair.first], graph.nodes[pair.second]
    r1 = np.abs(channels_first(graph.view(first).const(1), linear(first).channel_axis)).max(axis=1)
    r2 = _read_peaks(graph.view(second), len(r1), relative=False)
    return _sane(np.sqrt(r1.astype(np.float64) * r2) / np.where(r2 > 0, r2, 1), r1 * r2 > 0)


def activation_factors(graph: Graph, pair: Pair, peaks: Factors) -> Factors:
    """s_i from the activation's peaks, and from the second layer's weights where they cannot follow for nothing."""
    second = graph.view(graph.nodes[pair.second])
    top = peaks.max(initial=0.0)
    if linear(second.node).depthwise:
        return _sane(peaks / top if top else peaks, peaks > 0)
    r2 = _read_peaks(second, len(peaks), relative=True)
    return _sane(np.sqrt(peaks / np.where(r2 > 0, r2, 1)), peaks * r2 > 0)


def _read_peaks(view: View, channels: int, *, relative: bool) -> Factors:
    """Largest absolute weight with which the second layer reads each channel; `relative` to its output channel's largest."""
    weights = np.abs(view.const(1)).astype(np.float64)
    if linear(view.node).depthwise:
        return np.asarray(weights.reshape(-1, channels, weights.shape[3] // channels).max(axis=(0, 2)))
    rows = weights.reshape(weights.shape[0], -1)
    if relative:
        rows = rows / np.maximum(rows.max(axis=1, keepdims=True), 1e-30)
    return np.asarray(rows.reshape(-1, channels).max(axis=0))


def _sane(factors: Factors, known: npt.NDArray[np.bool_]) -> Factors:
    """Factors around 1, none above LIMIT or below its reciprocal; 1 for a channel that holds or gives nothing."""
    if not known.any():
        return np.ones_like(factors)
    middle = np.exp(np.log(factors[known]).mean())
    return np.where(known, np.clip(factors / middle, 1 / LIMIT, LIMIT), 1.0)


# --- the change ------------------------------------------------------------------------------------------------------


def apply(graph: Graph, pair: Pair, factors: Factors) -> Graph:
    """Channel i divided by factors[i] where the first layer writes it, multiplied where the second reads it."""
    first, second = graph.nodes[pair.first], graph.nodes[pair.second]
    weights = graph.view(first).const(1)
    changed = {first.inputs[1]: weights / spread(factors, weights.ndim, linear(first).channel_axis)}
    if len(first.inputs) > 2 and first.inputs[2] >= 0:
        bias = graph.view(first).const(2)
        changed[first.inputs[2]] = bias / factors.reshape(bias.shape)
    changed[second.inputs[1]] = _read_scaled(second, graph.view(second).const(1), factors)
    tensors = list(graph.tensors)
    for index, data in changed.items():
        tensors[index] = replace(tensors[index], data=data.astype(np.float32))
    return replace(graph, tensors=tuple(tensors))


def _read_scaled(node: Node, weights: Array, factors: Factors) -> Array:
    last = weights.shape[-1]
    if linear(node).depthwise:  # each input channel makes some outputs next to each other
        return np.asarray(weights * np.repeat(factors, last // len(factors)))
    return np.asarray(weights * np.tile(factors, last // len(factors)))
