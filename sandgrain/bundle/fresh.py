"""Fresh samples for `verify`: made from a seed, and chosen so that the outputs of every layer move.

Noise over the whole range of an input says little of a network: a mean of it is always the same, and a clamp cuts most of the rest.
So several kinds are drawn, more than are needed, and those are kept that together move the most elements of every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sandgrain.base.progress import Progress, silent
from sandgrain.bundle.samples import DataSet
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, Tensor
from sandgrain.graph.ops.layout.gather import choices

Values = list[Array | None]  # of every tensor, for one sample
DRAWN = 3  # samples that are drawn for each that is kept
HEAVY = 4_000_000  # MACs of a model of which only as many are drawn as are kept: the reference takes too long


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """`data`: the samples. `values`: of every tensor of the graph as it runs, for each sample."""

    data: DataSet
    values: list[Values]


def fresh(imported: Graph, graph: Graph, count: int, seed: int, macs: int = 0, progress: Progress = silent) -> Fresh:
    """`count` samples for a model. `imported`: the graph that says what its inputs are; `graph`: as it runs. Depends on nothing else."""
    rng = np.random.default_rng(seed)
    drawn = count if macs > HEAVY else DRAWN * count
    pool, values = [], []
    for k in range(drawn):
        pool.append([draw(imported, index, k, rng) for index in imported.inputs])
        values.append(interpret.trace(graph, pool[-1]))
        progress("choosing samples", k + 1, drawn)
    kept = choose([outputs(graph, v) for v in values], count)
    stacked = tuple(np.stack([pool[k][i] for k in kept]) for i in range(len(imported.inputs)))
    return Fresh(DataSet(stacked, None), [values[k] for k in kept])


def outputs(graph: Graph, values: Values) -> list[Array]:
    """Of each node, its first output, flat."""
    return [np.asarray(values[node.outputs[0]]).reshape(-1) for node in graph.nodes]


def choose(rows: Sequence[Sequence[Array]], count: int) -> list[int]:
    """Which of the samples are kept, in order: next is always the one that moves most of what has not moved. `rows`: outputs of each
    layer, for each sample."""
    kept, left = [0], list(range(1, len(rows)))
    low = [row.copy() for row in rows[0]]
    high = [row.copy() for row in rows[0]]

    def gain(k: int) -> float:
        """Shares of the layers' elements whose range grows; those that have not moved yet count most."""
        total = 0.0
        for row, lo, hi in zip(rows[k], low, high, strict=True):
            grows = (row < lo) | (row > hi)
            total += float(grows.mean()) + 8.0 * float((grows & (lo == hi)).mean())
        return total

    while left and len(kept) < count:
        best = max(left, key=gain)
        left.remove(best)
        kept.append(best)
        low = [np.minimum(lo, row) for lo, row in zip(low, rows[best], strict=True)]
        high = [np.maximum(hi, row) for hi, row in zip(high, rows[best], strict=True)]
    return sorted(kept[:count])


def still(graph: Graph, values: Sequence[Values]) -> list[int]:
    """The nodes whose output is the same for all samples, in each of its elements, although it could be another."""
    rows = [outputs(graph, v) for v in values]
    return [k for k in range(len(graph.nodes)) if all(np.array_equal(rows[0][k], row[k], equal_nan=True) for row in rows[1:])]


def draw(graph: Graph, index: int, kind: int, rng: np.random.Generator) -> Array:
    """One sample of an input, of its shape without a batch of samples."""
    tensor = graph.tensors[index]
    rows = choices(graph, index)
    if rows is not None:
        return rng.integers(0, rows - 1, size=tensor.shape, dtype=tensor.dtype.numpy, endpoint=True)
    return values_of(tensor, kind, rng)


def values_of(tensor: Tensor, kind: int, rng: np.random.Generator) -> Array:
    """Values of a tensor, of its shape, of one of the kinds, whatever it means."""
    drawn = KINDS[kind % len(KINDS)](tensor, rng)  # of -1 to 1
    if tensor.dtype == "float32":
        return np.asarray(drawn * 10.0 ** rng.uniform(-1, 1), np.float32)
    low, high = tensor.dtype.low, tensor.dtype.high
    middle = 0 if tensor.quant is None or not tensor.quant.per_tensor else tensor.zero_point
    reach = np.where(drawn < 0, middle - low, high - middle)
    made: Array = np.clip(np.round(middle + drawn * reach), low, high).astype(tensor.dtype.numpy)
    return made


def _uniform(tensor: Tensor, rng: np.random.Generator) -> Array:
    return rng.uniform(-1.0, 1.0, tensor.shape)


def _quiet(tensor: Tensor, rng: np.random.Generator) -> Array:
    """Small values: few accumulators reach a clamp."""
    return np.asarray(np.clip(rng.standard_normal(tensor.shape) * 10.0 ** rng.uniform(-2.0, -0.5), -1, 1))


def _level(tensor: Tensor, rng: np.random.Generator) -> Array:
    """One level with a little noise: what is averaged moves."""
    return np.asarray(np.clip(rng.uniform(-1, 1) + 0.1 * rng.standard_normal(tensor.shape), -1, 1))


def _smooth(tensor: Tensor, rng: np.random.Generator) -> Array:
    """Waves along every axis, as pictures and sounds have them."""
    wave: Array = np.zeros(tensor.shape)
    for _ in range(3):
        part: Array = np.ones(())
        for size in tensor.shape:
            phase = rng.uniform(0, 2 * np.pi)
            turns = rng.uniform(0.0, max(size / 3.0, 1.0)) * rng.uniform() ** 2
            part = np.multiply.outer(part, np.cos(phase + 2 * np.pi * turns * np.arange(size) / max(size, 1)))
        wave = wave + part * rng.uniform(0.2, 1.0)
    return np.asarray(wave / max(float(np.abs(wave).max()), 1e-9) * rng.uniform(0.3, 1.0))


def _sparse(tensor: Tensor, rng: np.random.Generator) -> Array:
    """Nothing, with large values here and there."""
    return np.asarray(np.where(rng.uniform(size=tensor.shape) < 0.1, rng.uniform(-1, 1, tensor.shape), 0.0))


def _ends(tensor: Tensor, rng: np.random.Generator) -> Array:
    """The largest and the smallest value: accumulators and clamps at their ends."""
    return np.asarray(np.where(rng.uniform(size=tensor.shape) < rng.uniform(), 1.0, -1.0))


KINDS: tuple[Callable[[Tensor, np.random.Generator], Array], ...] = (_uniform, _smooth, _level, _quiet, _sparse, _ends)
