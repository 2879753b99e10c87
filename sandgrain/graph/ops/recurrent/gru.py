"""A gated recurrent unit (Cho et al. 2014) over a whole sequence. From h = 0, step after step:

    r = logistic(Wr x + br + Ur h + cr)        z = logistic(Wz x + bz + Uz h + cz)
    n = tanh(Wn x + bn + r * (Un h + cn))      or, with `reset_first`, tanh(Wn x + bn + Un (r * h) + cn)
    h = n + z * (h - n)

The reset gate comes after the matrix product in PyTorch; before it in the paper, in ONNX unless told otherwise, and in old Keras models.

Inputs: x [n, steps, features]; W [3 units, features] and U [3 units, units], the rows of r, z and n one below the other;
biases b and c [3 units]. Output: h after every step [n, steps, units], or the last alone (`last`). `reverse` starts at the
last step.

In integers: Wx + b and Uh + c come out as saturated int16 in Q3.12, each by a rescaling of its own; gates and n are int16 in
Q0.15 (ops/gates.py), products of two such are rounded at 2^-15, halves up. h is kept in Q0.15, so that small changes add up over
many steps; what goes out, and into the next matrix product, is its int8 under the output's quantization, and so is r * h where it goes into one.
.tflite has no such operator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Op, Shape, need_inputs
from sandgrain.graph.ops.real_math import flat, sequence, sigmoid
from sandgrain.graph.ops.recurrent import gates
from sandgrain.graph.ops.samples import activation_tensor, one_op
from sandgrain.graph.ops.traits import OWN_OUTPUT, Weight
from sandgrain.graph.quantization import Int64

GATES = 3
NEW = 2  # the gate, or what stands in its place, that the reset gate acts on


def products_of(view: View) -> tuple[gates.Products, gates.Products]:
    """What x, and what h, gives to the gates."""
    x, out = view.input(0).quant, view.out.quant
    assert x is not None and out is not None
    return (
        gates.products(x, [view.input(1)], [view.input(3)], GATES),
        gates.products(out, [view.input(2)], [view.input(4)], GATES),
    )


class GRU(Op):
    name = "gru"
    attributes = kinds(last=bool, reset_first=bool, reverse=bool)
    instead = "train an LSTM to export the model"
    summary = "gated recurrent unit over a sequence"
    fixed_output = gates.STATE
    # One scale per gate costs less flash than one per row and is as good.
    weights = (Weight(1, bias=3, gates=GATES), Weight(2, bias=4, source=OWN_OUTPUT, gates=GATES))

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 5)
        x, weights = inputs[0], inputs[1]
        assert x is not None and weights is not None
        if not weights.shape or weights.shape[0] % GATES or not weights.shape[0]:
            raise ModelError(f"weights of shape {list(weights.shape)}; they must be [3 units, features]")
        units = weights.shape[0] // GATES
        shape = gates.sequence_shapes(x, units, attrs["last"])
        gates.need_matrix(weights, GATES * units, x.shape[2], "weights of the input")
        gates.need_matrix(inputs[2], GATES * units, units, "weights of the state")
        for bias in inputs[3:]:
            if bias is None or bias.shape != (GATES * units,):
                raise ModelError(f"a bias of shape {list(bias.shape) if bias else None}; it must be {[GATES * units]}")
        return (shape,)

    def check(self, view: View) -> None:
        gates.check_sequence(view)
        gates.check_products(view.input(0), view.input(1), view.input(3))
        gates.check_products(view.out, view.input(2), view.input(4))

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        batch, steps, features = view.input(0).shape
        from_x, from_h = products_of(view)
        units = view.out.shape[-1]

        def narrowed(q15: Int64) -> Array:
            return gates.to_state(q15, gates.GATE_SCALE / view.out.scale, view.out)

        given = from_x.arguments(x.reshape(-1, features)).reshape(batch, steps, GATES, units)
        state = np.zeros((batch, units), np.int64)
        narrow = np.full((batch, units), view.out.zero_point, view.out.dtype)
        found = np.zeros((batch, steps, units), view.out.dtype)
        for t in gates.walk(steps, view.attrs["reverse"]):
            own = from_h.arguments(narrow)
            reset, keep = np.moveaxis(gates.logistic16(gates.saturate(given[:, t, :NEW] + own[:, :NEW])), 1, 0)
            if view.attrs["reset_first"]:
                fresh = from_h.arguments(narrowed(_q15(reset * state)))[:, NEW]
            else:
                fresh = _q15(reset * own[:, NEW])
            fresh = gates.tanh16(gates.saturate(given[:, t, NEW] + fresh))
            state = fresh + _q15(keep * (state - fresh))
            narrow = narrowed(state)
            found[:, t] = narrow
        return (narrow if view.attrs["last"] else found,)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        w, u, b, c = (view.const(k) for k in range(1, 5))
        two = NEW * u.shape[1]

        def step(x: Array, h: Array, memory: Array) -> tuple[Array, Array]:
            own = h @ u.T + c
            reset, keep = np.split(sigmoid(x[:, :two] + own[:, :two]), 2, axis=1)
            gated = (reset * h) @ u[two:].T + c[two:] if view.attrs["reset_first"] else reset * own[:, two:]
            fresh = np.tanh(x[:, two:] + gated)
            return fresh + keep * (h - fresh), memory

        return sequence(view, len(inputs[0]), flat(inputs[0]) @ w.T + b, step)

    def macs(self, view: View) -> int:
        batch, steps, _ = view.input(0).shape
        return batch * steps * (view.input(1).size + view.input(2).size)

    def sample(self, draw: Draw) -> Graph:
        x, units = gates.draw_sequence(draw)
        state, rows = gates.draw_state(draw), draw.choice((True, False))
        assert x.quant is not None
        w, b = gates.draw_matrix(draw, "w", GATES * units, x.shape[2], x.quant, rows)
        u, c = gates.draw_matrix(draw, "u", GATES * units, units, state, rows)
        a = attrs(
            last=draw.choice((True, False)), reverse=draw.choice((True, False, False)), reset_first=draw.choice((True, False))
        )
        y = activation_tensor("y", self.shapes((x, w, u, b, c), a)[0], state)
        return one_op(self.name, (x, w, u, b, c), (y,), a)


def _q15(x: Int64) -> Int64:
    result: Int64 = (x + (1 << 14)) >> 15
    return result
