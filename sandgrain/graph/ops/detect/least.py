"""From distances to a score: the least of each row, or the negative log-likelihood of a mixture, over all rows.

With `fraction` F > 0 the distances e_k are energies -log p_k with F bits below 1 (natural logarithm), and a row's value is
-log(sum over k of exp(-e_k)). It is built up component by component, from

    -log(exp(-a) + exp(-b)) = min(a, b) - g(|a - b|),   g(t) = log(1 + exp(-t))

with g from a table of STEPS + 1 values 1/8 apart, interpolated: within 0.0005 (g'' <= 1/4, so h^2 / 32), and 0 beyond 12
(where g is below 0.00001). With `fraction` 0 a row's value is min_k e_k. A distance below 0 counts as 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_dtype, need_inputs
from sandgrain.graph.ops.detect.base import MAX_COMPONENTS, MAX_ROWS, DetectOp
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.quantization import INT32_MAX, INT32_MIN, Int64

STEP_BITS = 3  # 1 / 8
STEPS = 12 << STEP_BITS
G_TABLE = np.rint(65536 * np.log1p(np.exp(-np.arange(STEPS + 1) / (1 << STEP_BITS)))).astype(np.uint16)  # units of 2^-16
G_TABLE[STEPS] = 0  # so that nothing jumps at the end
REDUCTIONS = ("sum", "max")


def correction(difference: Array, fraction: int) -> Int64:
    """g of a difference >= 0 with `fraction` bits, in the same units, rounded."""
    low = fraction - STEP_BITS
    t = np.minimum(np.asarray(difference, np.int64), STEPS << low)
    i, part = t >> low, t & ((1 << low) - 1)
    table = np.append(G_TABLE, 0).astype(np.int64)
    value = table[i] - ((table[i] - table[i + 1]) * part >> low)
    rounded: Int64 = (value + ((1 << (16 - fraction)) >> 1)) >> (16 - fraction)
    return rounded


class Least(DetectOp):
    """Input: int32 [rows, components]. Attributes: `fraction` (0, or 4 to 16), `reduce` ("sum" or "max" over the rows), `shift`:
    the result is divided by 2^shift, rounded, and saturated."""

    name = "least"
    summary = "least of each row's distances, or a mixture's negative log-likelihood, over all rows, as one int32"
    attributes = kinds(fraction=int, reduce=str, shift=int)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        x = inputs[0]
        assert x is not None
        if len(x.shape) != 2 or x.shape[0] > MAX_ROWS or x.shape[1] > MAX_COMPONENTS:
            raise ModelError(f"distances of shape {list(x.shape)}; up to [{MAX_ROWS}, {MAX_COMPONENTS}] work")
        return ((1,),)

    def check(self, view: View) -> None:
        need_dtype(view.input(0), "int32")
        need_dtype(view.out, "int32")
        fraction, shift = view.attrs["fraction"], view.attrs["shift"]
        need(fraction == 0 or 4 <= fraction <= 16, f"energies with {fraction} fraction bits; 4 to 16 work, 0 takes the least")
        need(0 <= shift <= 31, f"a shift of {shift}; 0 to 31 work")
        need(view.attrs["reduce"] in REDUCTIONS, f"rows reduced otherwise than by {' or '.join(REDUCTIONS)}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        assert inputs[0] is not None
        energies = np.maximum(inputs[0].astype(np.int64), 0)
        value = energies[:, 0]
        for e in energies.T[1:]:
            low, difference = np.minimum(value, e), np.abs(value - e)
            value = low - correction(difference, view.attrs["fraction"]) if view.attrs["fraction"] else low
        shift = view.attrs["shift"]
        total = int(value.sum() if view.attrs["reduce"] == "sum" else value.max())
        score = (total + ((1 << shift) >> 1)) >> shift
        return (np.array([min(max(score, INT32_MIN), INT32_MAX)], np.int32),)

    def sample(self, draw: Draw) -> Graph:
        shape = (draw.choice((1, 1, 2, 5, 31)), draw.integer(1, 6))
        fraction = draw.choice((0, 4, 8, 12, 16))
        a = attrs(fraction=fraction, reduce=draw.choice(REDUCTIONS), shift=draw.choice((0, 1, draw.integer(0, 31))))
        return one_op(self.name, (Tensor("x", shape, "int32"),), (Tensor("y", (1,), "int32"),), a)
