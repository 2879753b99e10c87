"""Squared lengths of whitened rows of features: Mahalanobis distances, and mixtures with full covariances.

distance[r, k] = bias_k + (sum over i of v_i^2) / 2^shift,   v_i = floor((sum over d <= i of W_kid x_rd - offset_ki) / 2^drop_ki)

W is the triangular factor of the inverse covariance, as int16, each row with a power of two of its own that `drop` takes back
to the smallest one; the host adds half a unit of the result to the offset, so v is rounded. Sums over d are 32 bits wide, those
over i 64, both proven not to overflow; a distance beyond int32 saturates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.dtypes import ACTIVATION, INT8
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_inputs
from sandgrain.graph.ops.detect.base import SUM_LIMIT, DetectOp, check_distance, constant, distance_shape, energy, rows, triangle
from sandgrain.graph.ops.samples import activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import INT32_MAX, Int64

MAX_DEPTH = 256  # 32,896 factors a component, 64 KiB of flash


def unpack(packed: Array, depth: int) -> Int64:
    """[components, triangle] to [components, depth, depth], zero above the diagonal."""
    whole = np.zeros((len(packed), depth, depth), np.int64)
    i, d = np.tril_indices(depth)
    whole[:, i, d] = packed
    return whole


def row_limits(factors: Array, offset: Array) -> Int64:
    """The largest |sum over d| that any row can give, and every partial sum stays below: int64 [components, depth]."""
    limits: Int64 = np.abs(unpack(factors, offset.shape[1])).sum(axis=2) * -ACTIVATION.low + np.abs(offset.astype(np.int64))
    return limits


def largest(factors: Array, offset: Array, drop: Array) -> list[int]:
    """A bound of the sum of squares, one a component."""
    ends = (row_limits(factors, offset) >> drop) + 1
    return [sum(int(v) ** 2 for v in row) for row in ends]


def tables_of(view: View) -> tuple[Array, Array, Array, Array]:
    """(factors, offset, drop, bias)."""
    depth, components = view.attrs["depth"], view.input(1).shape[0]
    return (
        constant(view, 1, "int16", components * triangle(depth)),
        constant(view, 2, "int32", components * depth).reshape(components, depth),
        constant(view, 3, INT8.name, components * depth).reshape(components, depth),
        constant(view, 4, "int32", components),
    )


class WhitenedDistance(DetectOp):
    """Inputs: x int8; factors int16 [components, triangle], the rows of each triangle one after another; offset int32 and drop
    int8 [components, depth]; bias int32 [components]."""

    name = "whitened_distance"
    summary = "squared lengths of rows of features whitened by triangular factors, as int32"
    attributes = kinds(depth=int, shift=int, step=int)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 5)
        factors, depth = inputs[1], attrs["depth"]
        assert factors is not None
        need(1 <= depth <= MAX_DEPTH, f"rows of {depth} values; full covariances work up to {MAX_DEPTH}, average or pick some")
        need(len(factors.shape) == 2 and factors.shape[1] == triangle(depth), "factors must be [components, triangle]")
        return distance_shape(inputs, attrs, factors.shape[0])

    def check(self, view: View) -> None:
        factors, offset, drop, bias = tables_of(view)
        check_distance(view, bias)
        need(bool(((drop >= 0) & (drop <= 30)).all()), "a row's shift outside 0 to 30")
        need(bool((row_limits(factors, offset) <= INT32_MAX).all()), "a row's sum can exceed 32 bits; scale the row down")
        need(max(largest(factors, offset, drop)) < SUM_LIMIT, "a distance can exceed 62 bits; raise drop")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        assert inputs[0] is not None
        factors, offset, drop, bias = tables_of(view)
        x = rows(inputs[0], view.attrs)
        # Products below 2^22 and depth <= 256: float64 sums are exact.
        whole = unpack(factors, view.attrs["depth"]).astype(np.float64)
        sums = np.stack([(x.astype(np.float64) @ w.T).astype(np.int64) for w in whole], axis=1)
        v = np.asarray((sums - offset.astype(np.int64)) >> drop, np.int64)
        return (energy((v * v).sum(axis=2), bias, view.attrs["shift"]),)

    def macs(self, view: View) -> int:
        return view.out.size * triangle(view.attrs["depth"])

    def sample(self, draw: Draw) -> Graph:
        depth, components = draw.choice((1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31)), draw.integer(1, 3)
        step = draw.choice((depth, depth, 1, 3))
        x = activation_tensor("x", (1, depth + step * draw.integer(0, 4)), draw_quant(draw))
        reach = draw.choice((2**15 - 1, 300))
        factors = draw.array((components, triangle(depth)), -reach, reach, "int16")
        offset = draw.array((components, depth), -(2**24), 2**24, "int32")
        least = next(d for d in range(31) if max(largest(factors, offset, np.full(offset.shape, d))) < SUM_LIMIT)
        drop = draw.array((components, depth), least, least + draw.choice((0, 6)), INT8.name)
        bias = draw.array((components,), 0, draw.choice((1, 1 << 30)), "int32")
        named = {"factors": factors, "offset": offset, "drop": drop, "bias": bias}
        tables = tuple(Tensor(name, data.shape, data.dtype.name, data=data) for name, data in named.items())
        a = attrs(depth=depth, step=step, shift=draw.choice((0, 1, 30, draw.integer(0, 62))))
        return one_op(self.name, (x, *tables), (Tensor("y", self.shapes((x, *tables), a)[0], "int32"),), a)
