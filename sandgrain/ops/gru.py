"""A gated recurrent unit (Cho et al. 2014) over a whole sequence, with PyTorch's equations: the reset gate comes after the
matrix product. From h = 0, step after step:

    r = logistic(Wr x + Ur h + br)        z = logistic(Wz x + Uz h + bz)
    n = tanh(Wn x + bn + r * (Un h + cn))
    h = n + z * (h - n)

Inputs: x [n, steps, features]; W [3 units, features] and U [3 units, units], the rows of r, z and n one below the other;
biases b and c [3 units]. Output: h after every step [n, steps, units], or the last alone (`last`). `reverse` starts at the
last step.

In integers: Wx + b and Uh + c come out as saturated int16 in Q3.12, each by a rescaling of its own; gates and n are int16 in
Q0.15 (ops/gates.py), products of two such are rounded at 2^-15, halves up. h is kept in Q0.15, so that small changes add up over
many steps; what goes out, and into the next matrix product, is its int8 under the output's quantization. .tflite has no
such operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sandgrain.errors import ModelError
from sandgrain.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.ops import gates
from sandgrain.ops.base import Call, Draw, In, Kernel, Op, Out, Scratch, Shape, need_inputs
from sandgrain.ops.lut import Fields
from sandgrain.ops.samples import activation_tensor, one_op
from sandgrain.quant import Int64, quantize_multiplier

GATES = 3
DSP = frozenset({"dsp"})


def _products(view: View) -> tuple[gates.Products, gates.Products]:
    """What x, and what h, gives to the gates."""
    x, out = view.input(0).quant, view.out.quant
    assert x is not None and out is not None
    return (
        gates.products(x, [view.input(1)], [view.input(3)], GATES),
        gates.products(out, [view.input(2)], [view.input(4)], GATES),
    )


def _lower(source: str) -> Any:
    def lower(view: View) -> tuple[Call, ...]:
        from_x, from_h = _products(view)
        multiplier, shift = quantize_multiplier(gates.GATE_SCALE / view.out.scale)
        fields = sequence_fields(view, (from_x, from_h), (multiplier, shift), source.startswith("armv7em"))
        return (Call(source, fields, (In(0), Out(0), Scratch())),)

    return lower


def sequence_fields(view: View, both: tuple[gates.Products, gates.Products], scale: tuple[int, int], dsp: bool) -> Fields:
    """The members that the kernels of gru and lstm share. `both`: what x and what h gives; `scale`: to the output."""
    batch, steps, features = view.input(0).shape
    units = view.out.shape[-1]
    return {
        **both[0].fields("x", dsp), **both[1].fields("h", dsp), "table": gates.LOGISTIC,
        "batch": batch, "steps": steps, "features": features, "units": units, "padded": gates.padded_units(units),
        "last": int(view.attrs["last"]), "reverse": int(view.attrs["reverse"]),
        "multiplier": scale[0], "shift": scale[1], "zero_point": view.out.zero_point,
    }  # fmt: skip


def _accepts(view: View) -> bool:
    return all(p.fits_dsp for p in _products(view))


def _scratch(view: View) -> int:
    return gates.padded_units(view.out.shape[-1]) * (2 * 2 * GATES + 2 + 1)


class GRU(Op):
    name = "gru"
    instead = "train an LSTM to export the model"
    summary = "gated recurrent unit over a sequence"
    kernels = (
        Kernel("gru_dsp_s8", _lower("armv7em/gru_dsp_s8.h"), needs=DSP, accepts=_accepts, scratch=_scratch),
        Kernel("gru_s8", _lower("portable/gru_s8.h"), scratch=_scratch),
    )

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
        from_x, from_h = _products(view)
        units, zero = view.out.shape[-1], view.out.zero_point
        given = from_x.arguments(x.reshape(-1, features)).reshape(batch, steps, GATES, units)
        state = np.zeros((batch, units), np.int64)
        narrow = np.full((batch, units), zero, np.int8)
        found = np.zeros((batch, steps, units), np.int8)
        for t in gates.walk(steps, view.attrs["reverse"]):
            state = _step(given[:, t], from_h.arguments(narrow), state)
            narrow = gates.to_state(state, gates.GATE_SCALE / view.out.scale, zero)
            found[:, t] = narrow
        return (narrow if view.attrs["last"] else found,)

    def macs(self, view: View) -> int:
        batch, steps, _ = view.input(0).shape
        return batch * steps * (view.input(1).size + view.input(2).size)

    def sample(self, draw: Draw) -> Graph:
        x, units = gates.draw_sequence(draw)
        state, rows = gates.draw_state(draw), draw.choice((True, False))
        assert x.quant is not None
        w, b = gates.draw_matrix(draw, "w", GATES * units, x.shape[2], x.quant, rows)
        u, c = gates.draw_matrix(draw, "u", GATES * units, units, state, rows)
        a = attrs(last=draw.choice((True, False)), reverse=draw.choice((True, False, False)))
        y = activation_tensor("y", self.shapes((x, w, u, b, c), a)[0], state)
        return one_op(self.name, (x, w, u, b, c), (y,), a)


def _step(from_x: Int64, from_h: Int64, state: Int64) -> Int64:
    """Q0.15 [n, units] after one step, from arguments [n, 3, units]."""
    both = gates.saturate(from_x[:, :2] + from_h[:, :2])
    reset, keep = gates.logistic16(both[:, 0]), gates.logistic16(both[:, 1])
    fresh = gates.tanh16(gates.saturate(from_x[:, 2] + _q15(reset * from_h[:, 2])))
    result: Int64 = fresh + _q15(keep * (state - fresh))
    return result


def _q15(x: Int64) -> Int64:
    result: Int64 = (x + (1 << 14)) >> 15
    return result
