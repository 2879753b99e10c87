"""Activations: as layers, and by name in the layers that have one."""

from __future__ import annotations

from typing import Any

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.keras.config import Config
from sandgrain.formats.keras.layers.base import Handler, Layer, aten
from sandgrain.formats.keras.weights import taken

ELU = {"alpha": 1, "scale": 1, "input_scale": 1}
FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {  # Keras's name -> PyTorch's operator and its options
    "relu": ("relu", {}), "relu6": ("relu6", {}), "leaky_relu": ("leaky_relu", {"negative_slope": 0.2}), "elu": ("elu", ELU),
    "gelu": ("gelu", {"approximate": "none"}), "silu": ("silu", {}), "swish": ("silu", {}), "hard_silu": ("hardswish", {}),
    "hard_swish": ("hardswish", {}), "hard_sigmoid": ("hardsigmoid", {}), "sigmoid": ("sigmoid", {}), "tanh": ("tanh", {}),
    "softmax": ("softmax", {"dim": -1}), "softplus": ("softplus", {"beta": 1}),
    "selu": ("selu", {}), "celu": ("celu", {"alpha": 1}), "mish": ("mish", {}), "exponential": ("exp", {}),
}  # fmt: skip
KNOWN = "use relu, relu6, hard_silu, sigmoid, tanh or gelu"
FUNCTION_HINTS = {"log_softmax": "leave it out: the class with the largest value stays the same", "softsign": "use tanh"}


def apply(b: Builder, x: Value, name: str, **options: Any) -> Value:
    """The activation `name` of `x`; `options` in place of its defaults."""
    if name == "linear":
        return x
    if name not in FUNCTIONS:
        hint = FUNCTION_HINTS.get(name, KNOWN)
        raise UnsupportedError(f"the activation {printable(name)} is not supported; {hint}")
    operator, defaults = FUNCTIONS[name]
    return aten(b, operator, x.shape, x=x, **{**defaults, **options})  # type: ignore[no-any-return]


def activated(layer: Layer, x: Value) -> Value:
    """`x` behind the activation that the layer's configuration names: a function of Keras, or a layer."""
    named = layer.config.values.get("activation") or "linear"
    if isinstance(named, str):
        return apply(layer.b, x, named)
    if not isinstance(named, dict):
        raise ModelError(f"activation is {printable(str(named)[:60])}; save the model again")
    if named.get("class_name") == "function":
        raise UnsupportedError(f"the activation {printable(str(named.get('config'))[:60])} is code, which is not run; {KNOWN}")
    return layer.inside(named, layer.weights.inner("activation"), [x])  # type: ignore[no-any-return]


def _activation(layer: Layer) -> Value:
    return activated(layer, layer.x)


def _relu(layer: Layer) -> Value:
    config, x = layer.config, layer.x
    slope = config.real("negative_slope", 0.0)
    if config.real("threshold", 0.0):
        raise UnsupportedError("a threshold; use 0")
    if config.has("max_value"):
        if slope:
            raise UnsupportedError("negative_slope and max_value at once; use one of them")
        return aten(layer.b, "clamp", x.shape, x=x, min=0.0, max=config.real("max_value"))  # type: ignore[no-any-return]
    return apply(layer.b, x, "leaky_relu", negative_slope=slope) if slope else apply(layer.b, x, "relu")


def _leaky_relu(layer: Layer) -> Value:
    slope = layer.config.real("negative_slope" if layer.config.has("negative_slope") else "alpha", 0.3)
    return apply(layer.b, layer.x, "leaky_relu", negative_slope=slope)


def _prelu(layer: Layer) -> Value:
    """One slope for each element, along the shared axes the same."""
    x = layer.x
    rank, shape = len(x.shape), list(x.shape[1:])
    shared = layer.config.values.get("shared_axes") or []
    for axis in shared if isinstance(shared, list | tuple) else [shared]:
        if not isinstance(axis, int) or not 1 <= axis < rank:
            raise ModelError(f"shared_axes {printable(str(shared)[:40])} of {rank} axes; save the model again")
        shape[axis - 1] = 1
    (slope,) = taken(layer.weights, alpha=tuple(shape))
    return layer.b.binary_constant("prelu", x, slope[None])


def _elu(layer: Layer) -> Value:
    return apply(layer.b, layer.x, "elu", alpha=layer.config.real("alpha", 1.0))


def _softmax(layer: Layer) -> Value:
    axis = layer.config.values.get("axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    rank = len(layer.x.shape)
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise UnsupportedError("a softmax over several axes; reshape them into one before")
    return apply(layer.b, layer.x, "softmax", dim=axis)


def _operation(name: str, **options: str) -> Handler:
    """An activation of keras.ops. `options`: PyTorch's name -> that of the configuration."""

    def handle(layer: Layer) -> Value:
        config = Config({**layer.config.values, **layer.kwargs})
        return apply(
            layer.b, layer.x, name, **{theirs: config.real(ours) for theirs, ours in options.items() if config.has(ours)}
        )

    return handle


def _gelu(layer: Layer) -> Value:
    return apply(layer.b, layer.x, "gelu", approximate="tanh" if layer.config.flag("approximate", True) else "none")


HANDLERS: dict[str, Handler] = {
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "PReLU": _prelu,
    "ELU": _elu,
    "Softmax": _softmax,
}
OPERATIONS: dict[str, Handler] = {
    "ReLU": _relu, "Relu": _operation("relu"), "Relu6": _operation("relu6"), "LeakyRelu": _operation("leaky_relu", negative_slope="negative_slope"),
    "Elu": _operation("elu", alpha="alpha"), "Silu": _operation("silu"), "HardSilu": _operation("hard_silu"),
    "HardSigmoid": _operation("hard_sigmoid"), "Sigmoid": _operation("sigmoid"), "Tanh": _operation("tanh"),
    "Softplus": _operation("softplus"), "Softmax": _softmax, "Gelu": _gelu, "Selu": _operation("selu"),
    "Celu": _operation("celu", alpha="alpha"), "Exp": _operation("exponential"),
}  # fmt: skip
HINTS = {"LogSoftmax": FUNCTION_HINTS["log_softmax"]}
