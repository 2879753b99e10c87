"""Arithmetic that the ops' float meanings (`Op.real`) share.

Values are float32 [n, *shape]: n inferences at once, each with the tensor's own shape (its batch dimension included).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.quantization import ACTIVATIONS


def activated(view: View, x: Array) -> Array:
    """`x` after the node's fused activation."""
    low, high = ACTIVATIONS[view.attrs.get("activation", "none")]
    return x if low is None else np.clip(x, np.float32(low), None if high is None else np.float32(high))


def flat(x: Array) -> Array:
    """[n, b, ...] as [n * b, ...]."""
    return x.reshape(-1, *x.shape[2:])


def finished(view: View, n: int, result: Array) -> tuple[Array]:
    """The op's output from a float32 or float64 result [n * b, ...]: activated, float32 [n, *shape]."""
    return (activated(view, result.reshape(n, *view.out.shape)).astype(np.float32, copy=False),)


def bias_or_zero(view: View) -> Array:
    """The bias of a linear layer [channels], or zero."""
    return np.zeros((), np.float32) if view.optional(2) is None else view.const(2).reshape(-1)


def aligned(view: View, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """Both inputs with as many dimensions as the output, so that numpy's broadcasting leaves n alone."""
    rank = len(view.out.shape)
    a, b = (x.reshape(len(x), *(1,) * (rank + 1 - x.ndim), *x.shape[1:]) for x in inputs)
    return a, b


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), in a form that cannot overflow."""
    result: Array = 0.5 * (np.tanh(0.5 * x) + 1)
    return result


def sequence(view: View, n: int, given: Array, step: Callable[[Array, Array, Array], tuple[Array, Array]]) -> tuple[Array]:
    """A recurrent layer's output: `step`(what x gives to the gates, h, memory) -> (h, memory) over `given` [n * b, steps, ...]."""
    units, steps = view.out.shape[-1], given.shape[1]
    h = memory = np.zeros((len(given), units), np.float32)
    states = np.zeros((len(given), steps, units), np.float32)
    for t in reversed(range(steps)) if view.attrs["reverse"] else range(steps):
        h, memory = step(given[:, t], h, memory)
        states[:, t] = h
    return finished(view, n, h if view.attrs["last"] else states)


def thinned(rows: Array, limit: int) -> Array:
    """Every k-th of `rows`, at most `limit` of them."""
    return rows[:: -(-len(rows) // limit)]
