"""Weights rounded with an eye on what they multiply: the error of one weight is made up for by those that are rounded after it.

Rounding each weight to the nearest level is best for inputs that have nothing to do with each other. Neighbouring pixels and channels
have, and with their second moments known, the error of a layer's output is what is kept small (Frantar et al., "GPTQ", 2023; Hassibi
and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon", 1992). Means are left to the biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sandgrain.graph import reals
from sandgrain.graph.dtypes import WEIGHT
from sandgrain.graph.ir import Array, Graph, Node, View, attrs
from sandgrain.graph.ops import OPS
from sandgrain.quantization.weights import spread, weight_scales

Reals = npt.NDArray[np.float64]
SAMPLES = 64  # that moments are taken over
ROWS = 1 << 15  # windows of them, at most
MAX_DEPTH = 2048  # weights of one output: a matrix of 32 MiB to invert
DAMPING = 0.01  # of the mean variance, added to each: what samples leave open stays near the nearest level


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A float graph whose weights are whole multiples of `scales` (weights' tensor index -> float32 [channels])."""

    graph: Graph
    scales: dict[int, Array]


def round_weights(graph: Graph, inputs: Sequence[Array]) -> Rounded:
    """before: y = conv_2d(x, w, b)      after: y = conv_2d(x, w', b'), w' on int8 levels, b' keeping the mean of each channel

    Layer after layer, on what the rounded layers before it compute. `inputs`: float32 [n, *shape] for each graph input. Weights that
    several layers share, and those of recurrent and transposed layers, stay as they are.
    """
    given = [x[:SAMPLES] for x in inputs]
    exact, ours = reals.start(graph, given), reals.start(graph, given)
    made, scales, readers = graph, dict[int, Array](), graph.consumers()
    for n, node in enumerate(graph.nodes):
        if OPS[node.op].linear and len(readers[node.inputs[1]]) == 1:
            rounded = _rounded(made.view(node), ours[node.inputs[0]])
            if rounded is not None:
                scales[node.inputs[1]], weights = rounded
                made = _with(made, node.inputs[1], weights)
                if len(node.inputs) > 2 and len(readers.get(node.inputs[2], ())) == 1:
                    made = _with(made, node.inputs[2], _bias(graph, made, node, exact, ours))
        for source, values in ((graph, exact), (made, ours)):
            values.update(zip(node.outputs, reals.step(source, node, values), strict=True))
            for i in {*node.inputs, *node.outputs}:
                if i >= 0 and readers.get(i, [n])[-1] == n:
                    del values[i]
    return Rounded(made, scales)


def _with(graph: Graph, index: int, data: Array) -> Graph:
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], data=data.astype(np.float32))
    return replace(graph, tensors=tuple(tensors))


def _rounded(view: View, x: Array) -> tuple[Array, Array] | None:
    """(scales, rounded weights) of a layer that reads `x`; None if it has too many weights per output, or its op no `columns`."""
    linear, weights = OPS[view.node.op].linear, view.const(1)
    assert linear is not None
    axis = linear.channel_axis
    if weights.size // weights.shape[axis] > MAX_DEPTH:
        return None
    columns = OPS[view.node.op].columns(view, x, ROWS)
    if columns is None:
        return None
    scales = weight_scales(weights, axis)
    first = np.moveaxis(weights, axis, 0)
    groups = len(columns)
    rows = first.reshape(groups, len(first) // groups, -1).astype(np.float64)
    levels = compensated(rows, scales.reshape(groups, -1).astype(np.float64), _moments(columns, view.optional(2) is not None))
    return scales, np.moveaxis(levels.reshape(first.shape), 0, axis) * spread(scales, weights.ndim, axis)


def _bias(graph: Graph, made: Graph, node: Node, exact: reals.Values, ours: reals.Values) -> Array:
    """The bias that gives each channel the mean that it has in the float graph."""
    plain = replace(node, attrs=attrs(**{**node.attrs, "activation": "none"}))
    wanted, got = reals.step(graph, plain, exact)[0], reals.step(made, plain, ours)[0]
    shift = (wanted - got).reshape(-1, wanted.shape[-1]).mean(axis=0, dtype=np.float64)
    old = made.view(node).const(2)
    new: Array = old + shift.reshape(old.shape)
    return new


def compensated(weights: Reals, scale: Reals, moments: Reals) -> Reals:
    """Levels [groups, outputs, depth] of `weights`, whole numbers from -WEIGHT.reach to WEIGHT.reach, a `scale` [groups, outputs] each.

    `moments` [groups, depth, depth]: the inputs' products on average, positive definite. Column after column is rounded, and its error
    taken from the columns to come in the proportions that change the output least.
    """
    upper = np.linalg.cholesky(np.linalg.inv(moments)).swapaxes(1, 2)
    left, levels, step = weights.copy(), np.zeros_like(weights), scale
    for k in range(weights.shape[2]):
        levels[:, :, k] = np.clip(np.rint(left[:, :, k] / step), -WEIGHT.reach, WEIGHT.reach)
        error = (left[:, :, k] - levels[:, :, k] * step) / upper[:, None, k, k]
        left[:, :, k + 1 :] -= error[:, :, None] * upper[:, None, k, k + 1 :]
    return levels


def _moments(columns: Reals, centred: bool) -> Reals:
    """[groups, depth, depth] of [groups, rows, depth]; about the means where a bias makes up for them."""
    rows = columns - columns.mean(axis=1, keepdims=True) if centred else columns
    moments: Reals = rows.swapaxes(1, 2) @ rows / max(1, rows.shape[1])
    depth = moments.shape[1]
    power = np.trace(moments, axis1=1, axis2=2) / depth
    damping = np.where(power > 0, DAMPING * power, 1.0)
    return moments + damping[:, None, None] * np.eye(depth)
