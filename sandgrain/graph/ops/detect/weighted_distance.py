"""Weighted squared distances of rows of features from centroids: k-means, and mixtures with diagonal covariances.

distance[r, k] = bias_k + (sum over d of v^2) / 2^shift,   v = floor((128 x_rd - c_kd) s_kd / 2^drop)

Centroids c have 7 bits below the features' unit, factors s are int16. Without factors v = 128 x_rd - c_kd. The sums are 64
bits wide and proven not to overflow; a distance beyond int32 saturates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_inputs
from sandgrain.graph.ops.detect.base import SUM_LIMIT, DetectOp, check_distance, constant, distance_shape, energy, rows
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import Int64

FRACTION = 7  # |128 x - c| < 2^16, and times a factor < 2^31
NARROW = 1 << 16  # a value below this is squared in 32 bits, which counts on cores without a long multiplication


def largest(centroids: Array, factors: Array | None, drop: int) -> list[int]:
    """The largest sum of squares that any row can give, exactly, one a component."""
    return [sum(int(v) ** 2 for v in row) for row in _ends(centroids, factors, drop)]


def reach(centroids: Array, factors: Array | None, drop: int) -> int:
    """The largest |v| that any value can give."""
    return int(_ends(centroids, factors, drop).max())


def _ends(centroids: Array, factors: Array | None, drop: int) -> Int64:
    ends = np.stack([(np.int64(x) << FRACTION) - centroids.astype(np.int64) for x in (ACTIVATION.low, ACTIVATION.high)])
    if factors is not None:
        ends = ends * factors.astype(np.int64) >> drop
    largest: Int64 = np.abs(ends).max(axis=0)
    return largest


def tables_of(view: View) -> tuple[Array, Array | None, Array]:
    """(centroids, factors or None, bias)."""
    shape = view.input(1).shape
    size = view.input(1).size
    factors = None if view.optional(2) is None else constant(view, 2, "int16", size).reshape(shape)
    return constant(view, 1, "int16", size), factors, constant(view, 3, "int32", shape[0])


class WeightedDistance(DetectOp):
    """Inputs: x int8, centroids int16 [components, depth], factors int16 of that shape or none, bias int32 [components]."""

    name = "weighted_distance"
    summary = "weighted squared distances of rows of features from centroids, as int32"
    attributes = kinds(depth=int, drop=int, shift=int, step=int)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 2, 4)
        centroids = inputs[1]
        assert centroids is not None
        need(len(centroids.shape) == 2 and centroids.shape[1] == attrs["depth"], "centroids must be [components, depth]")
        return distance_shape(inputs, attrs, centroids.shape[0])

    def check(self, view: View) -> None:
        centroids, factors, bias = tables_of(view)
        check_distance(view, bias)
        need(0 <= view.attrs["drop"] <= 31, f"a factor's shift of {view.attrs['drop']}; 0 to 31 work")
        need(max(largest(centroids, factors, view.attrs["drop"])) < SUM_LIMIT, "a distance can exceed 62 bits; raise drop")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        assert inputs[0] is not None
        centroids, factors, bias = tables_of(view)
        totals = []
        for row in rows(inputs[0], view.attrs):
            v: Int64 = (row << FRACTION) - centroids.astype(np.int64)
            if factors is not None:
                v = (v * factors.astype(np.int64)) >> view.attrs["drop"]
            totals.append((v * v).sum(axis=1))
        return (energy(np.stack(totals), bias, view.attrs["shift"]),)

    def macs(self, view: View) -> int:
        return view.out.size * int(view.attrs["depth"])

    def sample(self, draw: Draw) -> Graph:
        depth, components = draw.choice((*SIZES, 40)), draw.integer(1, 5)
        step = draw.choice((depth, depth, 1, 3))
        x = activation_tensor("x", (1, depth + step * draw.integer(0, 5)), draw_quant(draw))
        shape = (components, depth)
        reach = draw.choice((2**14, 2**14, 2**15 - 1))  # where means of int8 features lie, or anywhere
        centroids = draw.array(shape, -reach, reach, "int16")
        factors = draw.choice((None, draw.array(shape, 0, 2**15 - 1, "int16"), draw.array(shape, 0, 200, "int16")))
        drop = next(d for d in range(32) if max(largest(centroids, factors, d)) < SUM_LIMIT)
        a = attrs(depth=depth, step=step, drop=drop, shift=draw.choice((0, 1, 30, draw.integer(0, 62))))
        bias = draw.array((components,), 0, draw.choice((1, 1 << 30)), "int32")
        tables = (
            Tensor("centroids", shape, "int16", data=centroids),
            None if factors is None else Tensor("factors", shape, "int16", data=factors),
            Tensor("bias", bias.shape, "int32", data=bias),
        )
        return one_op(self.name, (x, *tables), (Tensor("y", self.shapes((x, *tables), a)[0], "int32"),), a)
