"""A fitted detector in real numbers, what it computes, and the integer graph that computes it on the board.

`Mixture` covers k-means, Mahalanobis distance and Gaussian mixtures: squared distances of every row of features from every
component, the least of them or their soft least, added over the rows of a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.graph import rules
from sandgrain.graph.dtypes import ACTIVATION, ACTIVATIONS, INT8
from sandgrain.graph.ir import Array, Attrs, Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.detect import squared_error, weighted_distance, whitened_distance
from sandgrain.graph.ops.detect.base import MAX_BIAS, SUM_LIMIT
from sandgrain.graph.ops.detect.base import rows_of as count_rows
from sandgrain.graph.quantization import INT32_MAX, Quantization, per_tensor

Reduce = Literal["sum", "max"]
HEADROOM = 64  # the largest normal score fits so often into the range of a score before it saturates
FACTOR_MAX = 2**15 - 1
MAX_FRACTION = 16

NARROW_STEPS = 256  # steps a standard deviation that such products must leave
MAX_DROP = 30


@dataclass(frozen=True, slots=True)
class Rows:
    """Which values of a window make a row.

    `shape`: of one window of features. `depth`, `step`: a row's values, and from one row's start to the next's. `mean`: the
    frames are averaged first, by one more op, whose output has the quantization `quant`.
    """

    shape: tuple[int, ...]
    depth: int
    step: int
    quant: Quantization  # of what the distances read
    mean: bool = False

    @property
    def size(self) -> int:
        """Values that the rows are taken from."""
        return self.depth if self.mean else math.prod(self.shape)

    @property
    def count(self) -> int:
        return count_rows(self.size, attrs(depth=self.depth, step=self.step))


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """In real units of the features.

    `means` [K, D]. Distances are |(x - mean_k) scales_k|^2 with `scales` [K, D], |factors_k (x - mean_k)|^2 with lower
    triangular `factors` [K, D, D], or |x - mean_k|^2. `bias` [K] makes them energies: half a distance and the bias; a row is
    then worth -log sum_k exp(-energy_k), otherwise the least distance. A window is worth the mean of its rows, or the largest.
    """

    means: Array
    scales: Array | None = None
    factors: Array | None = None
    bias: Array | None = None
    reduce: Reduce = "sum"

    def energies(self, x: Array) -> Array:
        """float64 [n, K] of rows x [n, D]."""
        found = []
        for k, mean in enumerate(self.means):
            y = x - mean
            if self.scales is not None:
                y = y * self.scales[k]
            elif self.factors is not None:
                y = y @ self.factors[k].T
            found.append((y * y).sum(axis=1))
        distances = np.stack(found, axis=1)
        return distances if self.bias is None else distances / 2 + self.bias

    def row_scores(self, x: Array) -> Array:
        """float64 [n] of rows x [n, D]."""
        e = self.energies(x)
        least: Array = e.min(axis=1)
        return least if self.bias is None else least - np.log(np.exp(least[:, None] - e).sum(axis=1))

    def scores(self, rows: Array) -> Array:
        """float64 [n] of windows [n, rows, D]: what the board approximates."""
        values = self.row_scores(rows.reshape(-1, rows.shape[2])).reshape(rows.shape[:2])
        return values.max(axis=1) if self.reduce == "max" else values.mean(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """An integer graph; a score stands for `unit * score + offset` in real units (saturated scores for more)."""

    graph: Graph
    unit: float
    offset: float


# --- distances ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Distance:
    """The first op: its tables, its attributes but `shift`, and log2 of sum-of-squares units in 1 of the squared distance."""

    op: str
    tables: tuple[tuple[str, Array | None], ...]
    attrs: Attrs
    bits: int


def _integer_means(model: Mixture, quant: Quantization) -> Array:
    """Means in units of the features' integers; beyond int8 nothing can come near them anyway."""
    return np.clip(model.means / quant.scale[0] + quant.zero_point[0], ACTIVATION.low, ACTIVATION.high)


def _weighted(model: Mixture, rows: Rows) -> _Distance:
    centroids = np.rint(_integer_means(model, rows.quant) * 2.0**weighted_distance.FRACTION).astype(np.int16)
    at = {"depth": rows.depth, "step": rows.step}
    if model.scales is None:
        return _Distance(
            "weighted_distance",
            (("centroids", centroids), ("factors", None)),
            attrs(**at, drop=0),
            2 * weighted_distance.FRACTION,
        )
    scales = model.scales * rows.quant.scale[0]
    power = math.floor(math.log2(FACTOR_MAX / scales.max()))
    factors = np.rint(scales * 2.0**power).astype(np.int16)
    limits = [weighted_distance.largest(centroids, factors, d) for d in range(32)]
    drop = next(d for d in range(32) if max(limits[d]) < SUM_LIMIT)
    narrow = next(d for d in range(32) if weighted_distance.reach(centroids, factors, d) < weighted_distance.NARROW)
    bits = weighted_distance.FRACTION + power
    if 2 ** (bits - narrow) >= NARROW_STEPS:
        drop = max(drop, narrow)
    tables = (("centroids", centroids), ("factors", factors))
    return _Distance("weighted_distance", tables, attrs(**at, drop=drop), 2 * (bits - drop))


def _whitened(model: Mixture, rows: Rows) -> _Distance:
    """Each row of factors takes as many bits as it can; `drop` brings its sums to the unit of the row that has the fewest."""
    assert model.factors is not None
    means, depth = _integer_means(model, rows.quant), rows.depth
    factors = model.factors * rows.quant.scale[0]
    peak = np.maximum(np.abs(factors).max(axis=2), 1e-30)
    # |sum| <= (sum |W|) * (128 + 128) < 2^31 with the offset, whose mean lies within int8.
    total = np.maximum(np.abs(factors).sum(axis=2), 1e-30)
    power = np.floor(np.minimum(np.log2(FACTOR_MAX / peak), np.log2((INT32_MAX - 2.0**29) / 256 / total))).astype(np.int64)
    power = np.minimum(power, power.min() + MAX_DROP // 2)
    whole = np.rint(factors * 2.0 ** power[:, :, None])
    i, d = np.tril_indices(depth)
    packed = whole[:, i, d].astype(np.int16)
    centre = np.rint((whole * means[:, None, :]).sum(axis=2)).astype(np.int64)
    for base in range(int(power.min()), int(power.min()) - MAX_DROP // 2, -1):
        drop = (power - base).astype(INT8)
        offset = (centre - (np.int64(1) << drop.astype(np.int64) >> 1)).astype(np.int32)
        if max(whitened_distance.largest(packed, offset, drop)) < SUM_LIMIT:
            break
    tables = (("factors", packed), ("offset", offset), ("drop", drop))
    return _Distance("whitened_distance", tables, attrs(depth=depth, step=rows.step), 2 * base)


# --- the graph ---------------------------------------------------------------------------------------------------------


def convert(model: Mixture, rows: Rows, quant: Quantization, largest: float, name: str = "detector") -> Converted:
    """The graph that scores windows of int8 features quantized by `quant`.

    `largest`: the largest distance or energy (less the least bias) of a row of normal data, which decides how many fraction
    bits scores have. Raises UsageError or ModelError for a model that the ops cannot compute.
    """
    made = _whitened(model, rows) if model.factors is not None else _weighted(model, rows)
    soft = model.bias is not None
    gain = 1.0 if soft or model.scales is not None or model.factors is not None else rows.quant.scale[0] ** 2
    bias = np.zeros(len(model.means)) if model.bias is None else model.bias - model.bias.min()
    top = max(HEADROOM * largest / gain, float(bias.max()) * INT32_MAX / MAX_BIAS, 1e-9)
    fraction = min(math.floor(math.log2(INT32_MAX / top)), made.bits + int(soft))
    fraction = min(fraction, MAX_FRACTION) if soft else fraction
    if soft and fraction < 4:
        raise UsageError(f"energies up to {top / HEADROOM:g} of normal data leave no precision; fit fewer values a row")
    shift = made.bits + int(soft) - fraction
    down = 0 if model.reduce == "max" else (rows.count - 1).bit_length()
    table = np.rint(bias * 2.0**fraction).astype(np.int32)
    tables = (*made.tables, ("bias", table))
    least = attrs(fraction=fraction if soft else 0, reduce=model.reduce, shift=down)
    unit = gain * 2.0 ** (down - fraction) / (1 if model.reduce == "max" else rows.count)
    graph = _chain(rows, quant, made, attrs(**made.attrs, shift=shift), tables, least, unit, name)
    return Converted(graph, unit, 0.0 if model.bias is None else float(model.bias.min()))


def _chain(
    rows: Rows,
    quant: Quantization,
    made: _Distance,
    distance: Attrs,
    tables: tuple[tuple[str, Array | None], ...],
    least: Attrs,
    unit: float,
    name: str,
) -> Graph:
    tensors = [Tensor("features", (1, *rows.shape), ACTIVATION, quant)]
    nodes = []
    if rows.mean:
        tensors.append(Tensor("mean", (1, *rows.shape[1:]), ACTIVATION, rows.quant))
        nodes.append(Node("mean", "mean", (0,), (1,), attrs(axes=(1,), keep_dims=False)))
    source, indices = len(tensors) - 1, []
    for label, data in tables:
        indices.append(-1 if data is None else len(tensors))
        if data is not None:
            tensors.append(Tensor(label, data.shape, data.dtype.name, data=data))
    inputs = (source, *indices)
    shape = OPS[made.op].shapes([None if i < 0 else tensors[i] for i in inputs], distance)[0]
    tensors.append(Tensor("distances", shape, "int32"))
    nodes.append(Node(made.op, "distances", inputs, (len(tensors) - 1,), distance))
    tensors.append(Tensor("score", (1,), "int32", per_tensor(unit, 0)))
    nodes.append(Node("least", "score", (len(tensors) - 2,), (len(tensors) - 1,), least))
    graph = Graph(name, tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,))
    rules.check(graph)
    return graph


def reconstruction(model: Graph) -> Converted:
    """An int8 autoencoder with its squared error on top: the mean over all values, in units of the score's quantization.

    Raises ModelError or UnsupportedError where input and output are not int8 of one size.
    """
    source, made = model.inputs[0], model.outputs[0]
    a, b = model.tensors[source], model.tensors[made]
    OPS["squared_error"].shapes((a, b), attrs())
    rules.check(model)
    quantized = all(t.quant is not None and t.quant.per_tensor for t in (a, b)) and a.dtype == b.dtype and a.dtype in ACTIVATIONS
    unit = squared_error.unit(a, b) / a.size if quantized else 1.0
    score = Tensor("score", (1,), "int32", per_tensor(unit, 0))
    node = Node("squared_error", "score", (source, made), (len(model.tensors),))
    graph = Graph(model.name, (*model.tensors, score), (*model.nodes, node), model.inputs, (len(model.tensors),), model.labels)
    rules.check(graph)
    return Converted(graph, unit, 0.0)
