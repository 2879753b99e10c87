"""GRU, LSTM, both ways, and layers at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.ops.elementwise import apply
from sandgrain.formats.aten.ops.shape import sliced
from sandgrain.formats.keras.config import Config
from sandgrain.formats.keras.layers.base import Handler, Layer, aten
from sandgrain.formats.keras.weights import Weights, taken

GATES = {"GRU": (1, 0, 2), "LSTM": (0, 1, 2, 3)}  # where Keras has PyTorch's gates: r, z, n of a GRU; i, f, g, o of an LSTM
MERGES = {"sum": "add", "ave": "add", "mul": "mul"}


def _arrays(kind: str, config: Config, weights: Weights, features: int) -> tuple[list[Array], int]:
    """(PyTorch's input weights, recurrent weights and biases, units)."""
    _check(kind, config)
    units, biased, gates = config.whole("units", low=1), config.flag("use_bias", True), GATES[kind]
    wide = units * len(gates)
    twice = kind == "GRU" and not _reset_first(kind, config)
    bias_shape = ((2, wide) if twice else (wide,)) if biased else None
    kernel, recurrent, bias = taken(
        weights.inner("cell"), kernel=(features, wide), recurrent_kernel=(units, wide), bias=bias_shape
    )
    biases = np.zeros((2, wide), np.float32)
    if bias is not None:
        biases[: len(bias) if bias.ndim == 2 else 1] = bias

    def ordered(array: Array) -> Array:
        parts = np.split(array, len(gates), axis=-1)
        return np.ascontiguousarray(np.concatenate([parts[g] for g in gates], axis=-1).T)

    return [ordered(kernel), ordered(recurrent), ordered(biases[0]), ordered(biases[1])], units


def _check(kind: str, config: Config) -> None:
    if config.values.get("activation", "tanh") != "tanh" or config.values.get("recurrent_activation", "sigmoid") != "sigmoid":
        raise UnsupportedError("other activations than tanh and sigmoid; use those")
    if config.flag("return_state"):
        raise UnsupportedError("return_state; take the last step of return_sequences")


def _reset_first(kind: str, config: Config) -> bool:
    return kind == "GRU" and not config.flag("reset_after", True)


def _run(kind: str, b: Builder, x: Value, params: Sequence[Array], both: bool, reset_first: bool) -> tuple[Value, Value]:
    """([1, steps, units] or twice as many, the last states [ways, 1, units])."""
    found = aten(
        b, kind.lower(), (), input=x, hx=[], params=params, has_biases=True, num_layers=1, bidirectional=both, batch_first=True,
        reset_first=reset_first,
    )  # fmt: skip
    return found[0], found[1]


def _stateful(config: Any) -> bool:
    """Whether a layer's configuration, or that of a layer in it, says so."""
    if not isinstance(config, dict):
        return False
    inner = (config.get(key) for key in ("layer", "backward_layer", "config"))
    return bool(config.get("stateful")) or any(_stateful(entry) for entry in inner)


def _sequence(layer: Layer) -> Value:
    if len(layer.args) > 1 or layer.kwargs.get("initial_state") is not None or layer.kwargs.get("mask") is not None:
        raise UnsupportedError("a state or a mask that is fed in; start from zero, with sequences of one length")
    if _stateful(layer.config.values):
        raise UnsupportedError(
            "it keeps its state between calls (stateful=True), and no state is kept; build it with stateful=False and give a "
            "whole sequence per call"
        )
    return layer.ranked(3)


def _one_way(kind: str) -> Handler:
    def handle(layer: Layer) -> Value:
        x, b = _sequence(layer), layer.b
        params, units = _arrays(kind, layer.config, layer.weights, x.shape[2])
        if layer.config.flag("go_backwards") and x.shape[1] > 1:
            x = sliced(b, x, 1, x.shape[1] - 1, x.shape[1], -1)
        steps, last = _run(kind, b, x, params, False, _reset_first(kind, layer.config))
        return steps if layer.config.flag("return_sequences") else b.reshape(last, (1, units))

    return handle


def _bidirectional(layer: Layer) -> Value:
    x, b = _sequence(layer), layer.b
    entry = layer.config.values.get("layer")
    entry = entry if isinstance(entry, dict) else {}
    kind, config = entry.get("class_name"), Config(entry.get("config"))
    if kind not in GATES:
        raise UnsupportedError(f"both ways of a {printable(str(kind))}; use GRU or LSTM")
    back = layer.config.values.get("backward_layer")
    backward = Config(back["config"]) if isinstance(back, dict) and "config" in back else config
    if (isinstance(back, dict) and back.get("class_name") != kind) or config.flag("go_backwards"):
        raise UnsupportedError("two different layers, or a first one that goes backwards; use one GRU or LSTM for both")
    params, units = _arrays(kind, config, layer.weights.inner("forward_layer"), x.shape[2])
    more, others = _arrays(kind, backward, layer.weights.inner("backward_layer"), x.shape[2])
    if units != others:
        raise UnsupportedError(f"{units} units forwards and {others} backwards; use as many both ways")
    first = _reset_first(kind, config)
    if first != _reset_first(kind, backward):
        raise UnsupportedError("reset_after in one direction alone; use the same both ways")
    steps, last = _run(kind, b, x, [*params, *more], True, first)
    merge = layer.config.values.get("merge_mode", "concat")
    whole = steps
    if not config.flag("return_sequences"):
        whole = b.reshape(Value(last.tensor, last.layout.permuted((1, 0, 2))), (1, 2 * units))
    if merge == "concat":
        return whole
    if merge not in MERGES:
        raise UnsupportedError("two outputs, forwards and backwards; use merge_mode concat")
    axis = len(whole.shape) - 1
    halves = [sliced(b, whole, axis, start, units) for start in (0, units)]
    found = apply(b, MERGES[merge], halves[0], halves[1])
    return apply(b, "mul", found, np.full(1, 0.5)) if merge == "ave" else found


EACH_STEP = frozenset(
    {"Dense", "Activation", "ReLU", "LeakyReLU", "ELU", "Dropout", "LayerNormalization", "BatchNormalization", "Rescaling"}
)  # they treat the last axis, whatever stands before it


def _time_distributed(layer: Layer) -> Any:
    """What works on the last axis works at each step; on a single step, any layer does."""
    entry = layer.config.values.get("layer")
    if not isinstance(entry, dict):
        raise ModelError("a wrapper around nothing; save the model again")
    inner, x = layer.weights.inner("layer"), layer.x
    if entry.get("class_name") in EACH_STEP:
        return layer.inside(entry, inner, [x])
    if len(x.shape) < 3 or x.shape[1] != 1:
        raise UnsupportedError(
            f"a {printable(str(entry.get('class_name')))} at each step; use Dense there, or a layer over the steps"
        )
    found = layer.inside(entry, inner, [layer.b.reshape(x, (1, *x.shape[2:]))])
    return layer.b.reshape(found, (1, 1, *found.shape[1:]))


HANDLERS: dict[str, Handler] = {
    "GRU": _one_way("GRU"),
    "LSTM": _one_way("LSTM"),
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
}
HINTS = {
    **dict.fromkeys(("SimpleRNN", "RNN", "StackedRNNCells", "GRUCell", "LSTMCell"), "use GRU or LSTM"),
    **{f"ConvLSTM{rank}D": "use convolutions, then GRU or LSTM" for rank in (1, 2, 3)},
}
