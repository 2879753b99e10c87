"""GRU and LSTM over whole sequences, forward, reverse and both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.ops.base import Call, Result, Translator

# torch's gates in ONNX's order: reset, update, new of update, reset, hidden; input, forget, new, output of input, output, forget, cell.
ORDERS = {"gru": (1, 0, 2), "lstm": (0, 2, 3, 1)}
CURVES = {"gru": ["sigmoid", "tanh"], "lstm": ["sigmoid", "tanh", "tanh"]}


def _sequence(key: str) -> Translator:
    def translate(call: Call) -> Result:
        direction = call.attr("direction", "forward")
        need(
            direction in ("forward", "reverse", "bidirectional"),
            f"the direction {direction}; use forward, reverse or bidirectional",
        )
        ways, units = 2 if direction == "bidirectional" else 1, call.attr("hidden_size")
        _refuse(call, key, ways)
        batch_first = bool(call.attr("layout", 0))
        x = call.permute(call.x, (1, 0, 2)) if batch_first else call.x
        steps, n, _ = x.shape
        need(n == 1, f"a batch of {n}; use a batch of 1")
        lengths = call.constant(4, "sequence_lens")
        need(lengths is None or bool((lengths == steps).all()), "sequences of several lengths; pad them to one")
        params = _params(call, key, ways)
        # A single layer that runs backwards is ATen's with one direction and `reverse`.
        found = call.aten(
            key, (steps, 1, ways * units), input=x, hx=[np.zeros((ways, 1, units), np.float32)], params=params, has_biases=True,
            num_layers=1, dropout=0.0, train=False, bidirectional=ways == 2, batch_first=False, reverse=direction == "reverse",
            reset_first=key == "gru" and not call.attr("linear_before_reset", 0),
        )  # fmt: skip
        whole = call.permute(call.reshape(found[0], (steps, 1, ways, units)), (0, 2, 1, 3))
        last = found[1]
        if batch_first:
            whole, last = call.permute(whole, (2, 0, 1, 3)), call.permute(last, (1, 0, 2))
        return (whole, last)

    return translate


def _refuse(call: Call, key: str, ways: int) -> None:
    """What the layers cannot do."""
    curves = [c.lower() for c in call.attr("activations") or CURVES[key] * ways]
    need(curves == CURVES[key] * ways, f"the activations {', '.join(curves)}; use sigmoid and tanh")
    need(call.attr("clip") is None, "a clipped recurrent layer; leave the clip out")
    need(not call.attr("input_forget", 0), "coupled input and forget gates; leave input_forget out")
    for position in (5, 6):
        state = call.arg(position)
        need(
            not isinstance(state, Value) and (state is None or not np.any(state)),
            "a first state that is fed in, and no state is kept between calls; leave it out (it starts from zero) and give "
            "a whole sequence per call",
        )
    peepholes = call.constant(7, "peepholes")
    need(peepholes is None or not np.any(peepholes), "peepholes; leave them out")
    used = [bool(o) for o in call.node.outputs]
    need(len(used) < 3 or not used[2], "the cell's last state; leave that output out")


def _params(call: Call, key: str, ways: int) -> list[Array]:
    """torch's list of weights: for each direction input's, state's, and their two biases."""
    units, order = call.attr("hidden_size"), ORDERS[key]
    w, r, bias = call.given(1, "weights"), call.given(2, "recurrent weights"), call.constant(3, "bias")
    rows = len(order) * units
    need(
        w.shape == (ways, rows, call.x.shape[2]) and r.shape == (ways, rows, units),
        "weights that do not fit it; export the model again",
    )
    bias = np.zeros((ways, 2 * rows), np.float32) if bias is None else bias
    need(bias.shape == (ways, 2 * rows), "a bias that does not fit it; export the model again")
    return [_ordered(a, order) for k in range(ways) for a in (w[k], r[k], bias[k, :rows], bias[k, rows:])]


def _ordered(array: Any, order: Sequence[int]) -> Array:
    gates = np.split(np.asarray(array, np.float32), len(order))
    return np.concatenate([gates[k] for k in order])


TRANSLATORS = {"GRU": _sequence("gru"), "LSTM": _sequence("lstm")}

HINTS = {"RNN": "use GRU or LSTM"}
