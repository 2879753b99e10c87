"""GRU and LSTM: every layer and direction a node of its own. The state starts at zero.

Two arguments that ATen does not have: `reverse` runs a single direction backwards, `reset_first` is a GRU's of ops/gru.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.base import Arguments, Result, need

Layer = Callable[[Builder, int, list[Array], bool], int]
EXACT_STEPS = 8  # of an LSTM whose cell stays below 8: each step adds less than one


def _gru_layer(b: Builder, x: int, arrays: list[Array], reverse: bool, reset_first: bool) -> int:
    constants = [b.constant(a, what) for a, what in zip(arrays, ("weight_ih", "weight_hh", "bias_ih", "bias_hh"), strict=True)]
    return b.node("gru", (x, *constants), last=False, reverse=reverse, reset_first=reset_first)


def _lstm_layer(b: Builder, x: int, arrays: list[Array], reverse: bool) -> int:
    """ATen's gates come in the op's order: input, forget, new, output. Its two biases are added up."""
    w, u, bias = arrays[0], arrays[1], arrays[2] + arrays[3]
    constants = [
        b.constant(part, f"{what}_{gate}")
        for array, what in ((w, "weight_ih"), (u, "weight_hh"), (bias, "bias"))
        for part, gate in zip(np.split(array, 4), "ifgo", strict=True)
    ]
    bits = 12 if b.shape(x)[1] <= EXACT_STEPS else 11
    return b.node("lstm", (x, *constants), last=False, reverse=reverse, cell_bits=bits, cell_clip=0.0)


def _sequence(layer: Layer, gates: int) -> Callable[[Builder, Arguments], Result]:
    def convert(b: Builder, a: Arguments) -> Result:
        need("input" in a.values and not isinstance(a.get("batch_sizes"), Value), "packed sequences; pad them to one length")
        states = a["hx"] if isinstance(a["hx"], list | tuple) else [a["hx"]]
        need(not any(isinstance(s, Value) or np.any(s) for s in states), "a state that is fed in; start from zero")
        need(len(a["params"]) == len([p for p in a["params"] if not isinstance(p, Value)]), "weights computed at run time")
        ways = 2 if a["bidirectional"] else 1
        each = len(a["params"]) // (a["num_layers"] * ways)
        need(each in (2, 4), "a projection (proj_size); use nn.Linear behind the layer")
        need(len(a.x.shape) == 3, "an input without a batch axis; feed [1, steps, features]")
        value = a.x if a["batch_first"] else Value(a.x.tensor, a.x.layout.permuted((1, 0, 2)))
        value = b.plain(value)
        n, steps, _ = value.shape
        need(n == 1, "the steps in front of the batch; set batch_first")
        ends = []
        for k in range(a["num_layers"]):
            outs = []
            for way in range(ways):
                at = (k * ways + way) * each
                arrays = [np.asarray(p, np.float32) for p in a["params"][at : at + each]]
                _check(arrays, gates, value.shape[2])
                zeros = np.zeros(len(arrays[0]), np.float32)
                x = b.view(value.tensor, value.shape)
                backwards = bool(way or a.get("reverse"))
                outs.append(layer(b, x, arrays if each == 4 else [*arrays, zeros, zeros], backwards))
                ends.append((outs[-1], 0 if backwards else steps - 1))
            joined = outs[0] if ways == 1 else b.node("concatenation", outs, axis=2)
            value = Value(joined, dense(b.shape(joined)))
        result = value if a["batch_first"] else Value(value.tensor, value.layout.permuted((1, 0, 2)))
        units = value.shape[2] // ways
        return result, _last(b, ends, units)

    return convert


def _check(arrays: list[Array], gates: int, features: int) -> None:
    """Weights [gates * units, features] and [gates * units, units], biases [gates * units]."""
    rows = len(arrays[0]) if arrays[0].ndim else 0
    units = rows // gates
    fits = [a.shape for a in arrays] == [(rows, features), (rows, units), (rows,), (rows,)][: len(arrays)]
    need(fits and rows == gates * units > 0, "weights of other shapes than the layer has; export the model again")


def _last(b: Builder, ends: list[tuple[int, int]], units: int) -> Value:
    """The state after the last step of every layer and direction: [layers * directions, 1, units]."""
    parts = [
        b.node("strided_slice", (tensor,), suffix=".last", start=(0, step, 0), stride=(1, 1, 1), size=(1, 1, units), drop=())
        for tensor, step in ends
    ]
    whole = parts[0] if len(parts) == 1 else b.node("concatenation", parts, suffix=".last", axis=0)
    return Value(whole, dense((len(parts), 1, units)))


def _gru(b: Builder, a: Arguments) -> Result:
    return _sequence(partial(_gru_layer, reset_first=bool(a.get("reset_first"))), 3)(b, a)


def _lstm(b: Builder, a: Arguments) -> Result:
    """The cell's last state does not come out."""
    return (*_sequence(_lstm_layer, 4)(b, a), None)


HANDLERS = {"gru": _gru, "lstm": _lstm}

HINTS = dict.fromkeys(
    ("rnn_tanh", "rnn_relu", "gru_cell", "lstm_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    "use nn.GRU or nn.LSTM over the whole sequence",
)
