"""Long short-term memory (Hochreiter and Schmidhuber 1997) over a whole sequence. From h = 0 and c = 0, step after step:

    i = logistic(Wi x + Ui h + bi)        f = logistic(Wf x + Uf h + bf)
    g = tanh(Wg x + Ug h + bg)            o = logistic(Wo x + Uo h + bo)
    c = f * c + i * g                     h = o * tanh(c)

Inputs: x [n, steps, features]; Wi, Wf, Wg, Wo [units, features]; Ui .. Uo [units, units]; bi .. bo [units]. Output: h after
every step [n, steps, units], or the last alone (`last`). `reverse` starts at the last step.

In integers as TensorFlow Lite Micro's UNIDIRECTIONAL_SEQUENCE_LSTM (lstm_eval, 8x8_16): W x + b and U h come out as saturated
int16 in Q3.12, each by a rescaling of its own; gates are int16 in Q0.15, c is int16 with `cell_bits` fraction bits, h int8
under the output's quantization. TFLM keeps h and c from one run to the next until it is told to reset them; here each
inference starts anew. Beyond TFLM, weights may have a scale a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, need, need_inputs
from sandgrain.graph.ops.real_math import flat, sequence, sigmoid
from sandgrain.graph.ops.recurrent import gates
from sandgrain.graph.ops.samples import activation_tensor, one_op
from sandgrain.graph.ops.traits import OWN_OUTPUT, Weight
from sandgrain.graph.quantization import Int64, Quantization, requantize

GATES = 4
TANH = 4  # .tflite ActivationFunctionType
FILE_INPUTS = 24  # of the .tflite operator: 1..8 weights, 9..11 peepholes, 12..15 biases, 16 and 17 projection, 18 and 19 states
CELL_INPUT = 19
MAX_CELL_BITS = 15
ONE = 1 << 30  # the multiplier of a power of two


def products_of(view: View) -> tuple[gates.Products, gates.Products]:
    """What x, and what h, gives to the gates."""
    x, out = view.input(0).quant, view.out.quant
    assert x is not None and out is not None
    given = [view.input(k) for k in range(13)]
    return (
        gates.products(x, given[1:5], given[9:13], GATES),
        gates.products(out, given[5:9], [None] * GATES, GATES),
    )


def clip_of(view: View) -> int:
    """The cell's limit as an integer, 0 for none."""
    return int(min(view.attrs["cell_clip"] * 2.0 ** view.attrs["cell_bits"], gates.INT16_MAX))


class LSTM(Op):
    name = "lstm"
    summary = "long short-term memory over a sequence"
    attributes = kinds(cell_bits=int, cell_clip=float, last=bool, reverse=bool)
    fixed_output = gates.STATE
    # A .tflite file has no scale per row for them.
    weights = (
        *(Weight(k, bias=k + 8, per_channel=False) for k in range(1, 5)),
        *(Weight(k, bias=None, source=OWN_OUTPUT, per_channel=False) for k in range(5, 9)),
    )
    foreign = (
        Foreign(
            "UNIDIRECTIONAL_SEQUENCE_LSTM", 44, 71,
            (Option("fused_activation_function", 0, "i8"), Option("cell_clip", 1, "f32", 0.0),
             Option("proj_clip", 2, "f32", 0.0), Option("time_major", 3, "bool", False),
             Option("asymmetric_quantize_inputs", 4, "bool", False), Option("diagonal_recurrent_tensors", 5, "bool", False)),
            version=3, int16=True,
        ),
    )  # fmt: skip

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 13)
        x, weights = inputs[0], inputs[1]
        assert x is not None and weights is not None
        units = weights.shape[0] if weights.shape else 0
        shape = gates.sequence_shapes(x, units, attrs["last"])
        for k in range(GATES):
            gates.need_matrix(inputs[1 + k], units, x.shape[2], "weights of the input")
            gates.need_matrix(inputs[5 + k], units, units, "weights of the state")
            bias = inputs[9 + k]
            if bias is None or bias.shape != (units,):
                raise ModelError(f"a bias of shape {list(bias.shape) if bias else None}; it must be {[units]}")
        return (shape,)

    def check(self, view: View) -> None:
        gates.check_sequence(view)
        bits, clip = view.attrs["cell_bits"], view.attrs["cell_clip"]
        need(0 <= bits <= MAX_CELL_BITS, f"a cell scale of 2^{-bits}; it must be 1 to 2^-{MAX_CELL_BITS}")
        need(clip == 0 or (math.isfinite(clip) and clip * 2.0**bits >= 1), f"a cell clip of {clip:.3g}; give 0 for none")
        for k in range(GATES):
            gates.check_products(view.input(0), view.input(1 + k), view.input(9 + k))
            gates.check_products(view.out, view.input(5 + k), None)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        batch, steps, features = view.input(0).shape
        from_x, from_h = products_of(view)
        units = view.out.shape[-1]
        given = from_x.arguments(x.reshape(-1, features)).reshape(batch, steps, GATES, units)
        cell = np.zeros((batch, units), np.int64)
        hidden = np.full((batch, units), view.out.zero_point, view.out.dtype)
        found = np.zeros((batch, steps, units), view.out.dtype)
        for t in gates.walk(steps, view.attrs["reverse"]):
            cell, shown = _step(view, gates.saturate(given[:, t] + from_h.arguments(hidden)), cell)
            hidden = gates.to_state(shown, gates.GATE_SCALE**2 / view.out.scale, view.out)
            found[:, t] = hidden
        return (hidden if view.attrs["last"] else found,)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        w, u, b = (np.concatenate([view.const(k) for k in range(first, first + GATES)]) for first in (1, 5, 9))
        clip = view.attrs["cell_clip"] or np.inf

        def step(x: Array, h: Array, memory: Array) -> tuple[Array, Array]:
            take, keep, fresh, show = np.split(x + h @ u.T, GATES, axis=1)
            memory = np.clip(sigmoid(keep) * memory + sigmoid(take) * np.tanh(fresh), -clip, clip)
            return sigmoid(show) * np.tanh(memory), memory

        return sequence(view, len(inputs[0]), flat(inputs[0]) @ w.T + b, step)

    def macs(self, view: View) -> int:
        batch, steps, _ = view.input(0).shape
        return batch * steps * sum(view.input(k).size for k in range(1, 9))

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        if len(inputs) not in (20, FILE_INPUTS) or any(inputs[k] is None for k in (0, *range(1, 9), *range(12, 16), 18, 19)):
            raise UnsupportedError("a coupled or incomplete LSTM; use four gates with biases")
        need(all(inputs[k] is None for k in range(9, 12)), "peephole connections; leave them out")
        need(inputs[16] is None and inputs[17] is None, "a projection; use a fully connected layer behind the LSTM")
        need(all(t is None for t in inputs[20:]), "layer normalization inside the LSTM; leave it out")
        need(options["fused_activation_function"] == TANH, "an activation other than tanh; use tanh")
        need(not options["time_major"], "the steps in front of the batch (time_major); put the batch first")
        need(not options["diagonal_recurrent_tensors"], "diagonal recurrent weights; use whole matrices")
        return Decoded(
            attrs(last=False, reverse=False, cell_bits=_cell_bits(inputs, outputs), cell_clip=float(options["cell_clip"])),
            (*range(9), *range(12, 16)),
        )

    def encode(self, view: View) -> Encoded:
        a, units = view.attrs, view.out.shape[-1]
        if a["last"] or a["reverse"]:
            raise UnsupportedError(
                ".tflite has no LSTM that runs backwards or gives its last step alone; export before optimizing"
            )
        if any(t is not None and t.quant is not None and not t.quant.per_tensor for t in view.inputs[1:9]):
            raise UnsupportedError(".tflite has no LSTM with a scale a row; quantize its weights per tensor")
        options = {"fused_activation_function": TANH, "cell_clip": a["cell_clip"]}
        batch, quantized = view.input(0).shape[0], view.out.quant is not None
        cell = Quantization((2.0 ** -a["cell_bits"],), (0,)) if quantized else None
        states = (
            Tensor(f"{view.out.name}_hidden", (batch, units), view.out.dtype, view.out.quant),
            Tensor(f"{view.out.name}_cell", (batch, units), "int16" if quantized else "float32", cell),
        )
        none = (None, None, None)
        return Encoded(self.foreign[0].name, options, (*range(9), *none, *range(9, 13), None, None, *states, *none, None))

    def sample(self, draw: Draw) -> Graph:
        x, units = gates.draw_sequence(draw)
        state = gates.draw_state(draw)
        assert x.quant is not None
        from_x = [gates.draw_matrix(draw, f"w{g}", units, x.shape[2], x.quant, False) for g in "ifgo"]
        from_h = [gates.draw_matrix(draw, f"u{g}", units, units, state, False)[0] for g in "ifgo"]
        inputs = (x, *(w for w, _ in from_x), *from_h, *(b for _, b in from_x))
        a = attrs(
            last=False, reverse=False, cell_bits=draw.choice((9, 10, 11, 12, 13, 15)), cell_clip=draw.choice((0.0, 0.0, 0.75))
        )
        return one_op(self.name, inputs, (activation_tensor("y", self.shapes(inputs, a)[0], state),), a)


def _cell_bits(inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> int:
    """The fraction bits of a file's cell state; its hidden state must be quantized as its output."""
    hidden, cell = inputs[CELL_INPUT - 1], inputs[CELL_INPUT]
    assert hidden is not None and cell is not None
    if cell.dtype == "float32":
        return MAX_CELL_BITS - 4
    if cell.dtype != "int16" or cell.quant is None or not cell.quant.per_tensor or any(cell.quant.zero_point):
        raise UnsupportedError(f"a cell state of {cell.dtype}; it must be int16 without a zero point")
    mantissa, exponent = math.frexp(cell.quant.scale[0])
    need(mantissa == 0.5, f"a cell scale of {cell.quant.scale[0]:.3g}; it must be a power of two")
    need(len(outputs) == 1 and hidden.quant == outputs[0].quant, "a hidden state with another scale than the output's")
    return 1 - exponent


def _step(view: View, arguments: Int64, cell: Int64) -> tuple[Int64, Int64]:
    """(cell, o * tanh(cell) in Q0.30) after one step, from arguments [n, 4, units]."""
    take, keep, show = (gates.logistic16(arguments[:, k]) for k in (0, 1, 3))
    fresh, bits = gates.tanh16(arguments[:, 2]), view.attrs["cell_bits"]
    kept = gates.saturate(requantize(keep * cell, ONE, -14).astype(np.int64))
    now = gates.saturate(kept + gates.saturate(requantize(take * fresh, ONE, bits - 29).astype(np.int64)))
    if view.attrs["cell_clip"] > 0:
        now = np.clip(now, -clip_of(view), clip_of(view))
    return now, gates.tanh16(now, bits) * show
