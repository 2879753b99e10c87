"""Activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.ops.base import Arguments, Handler, need
from sandgrain.graph.ops.table.scaled_elu import SELU

CLAMPS = {(0.0, None): "relu", (0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1"}


def _unary(op: str, **attrs: Any) -> Handler:
    return lambda b, a: Value(b.node(op, (a.x.tensor,), **attrs), a.x.layout)


def _fused(kind: str) -> Handler:
    return lambda b, a: b.activate(a.x, kind)


def _clamp(b: Builder, a: Arguments) -> Value:
    low, high = (a.get(name) for name in (("min_val", "max_val") if "min_val" in a.values else ("min", "max")))
    key = tuple(None if v is None or abs(float(v)) == float("inf") else float(v) for v in (low, high))
    if key in CLAMPS:
        return b.activate(a.x, CLAMPS[key])
    value: Value = a.x
    for op, bound in (("maximum", key[0]), ("minimum", key[1])):
        value = value if bound is None else b.binary_constant(op, value, np.full(1, bound))
    return value


def _leaky_relu(b: Builder, a: Arguments) -> Value:
    return Value(b.node("leaky_relu", (a.x.tensor,), alpha=float(np.float32(a["negative_slope"]))), a.x.layout)


def _prelu(b: Builder, a: Arguments) -> Value:
    """One slope is a leaky relu."""
    x, slope = a.x, a.weights("weight")
    if (slope == slope.reshape(-1)[0]).all():
        return Value(b.node("leaky_relu", (x.tensor,), alpha=float(slope.reshape(-1)[0])), x.layout)
    return b.binary_constant("prelu", x, slope.reshape(1, -1, *(1,) * (len(x.shape) - 2)))


def _gelu(b: Builder, a: Arguments) -> Value:
    return Value(b.node("gelu", (a.x.tensor,), approximate=a.get("approximate") == "tanh"), a.x.layout)


def _elu(b: Builder, a: Arguments) -> Value:
    numbers: dict[str, Any] = {name: float(a[name]) for name in ("alpha", "scale", "input_scale")}
    if set(numbers.values()) == {1.0}:
        return Value(b.node("elu", (a.x.tensor,)), a.x.layout)
    return Value(b.node("scaled_elu", (a.x.tensor,), **numbers), a.x.layout)


def _celu(b: Builder, a: Arguments) -> Value:
    alpha = float(a["alpha"])
    need(alpha > 0, f"a CELU with an alpha of {alpha:g}; use one above 0")
    return _elu(b, Arguments("", {"self": a.x, "alpha": alpha, "scale": 1.0, "input_scale": 1.0 / alpha}, a.shape))


def _softplus(b: Builder, a: Arguments) -> Value:
    need(a["beta"] == 1, "a softplus with beta; use the default, 1")
    return Value(b.node("softplus", (a.x.tensor,)), a.x.layout)


def _hard_sigmoid(b: Builder, a: Arguments) -> Value:
    """relu6(x + 3) / 6."""
    gate = b.activate(b.binary_constant("add", a.x, np.full(1, 3.0)), "relu6")
    return b.binary_constant("mul", gate, np.full(1, 1 / 6))


def _softmax(b: Builder, a: Arguments) -> Value:
    x, axis = a.x, a["dim"] % len(a.x.shape)
    others = [k for k in range(len(x.shape)) if k != axis]
    x = b.arrange(x, (*others, axis), free=(axis,))
    depth = x.shape[axis]
    shape = b.shape(x.tensor)
    rows = b.view(x.tensor, shape if shape[-1] == depth else (math.prod(x.shape) // depth, depth))
    return Value(b.node("softmax", (rows,), beta=1.0), x.layout)


HANDLERS: dict[str, Handler] = {
    "relu": _fused("relu"), "relu6": _fused("relu6"), "hardtanh": _clamp, "clamp": _clamp, "clamp_min": _clamp, "clamp_max": _clamp,
    "leaky_relu": _leaky_relu, "prelu": _prelu, "hardswish": _unary("hard_swish"), "sigmoid": _unary("logistic"),
    "tanh": _unary("tanh"), "silu": _unary("silu"), "gelu": _gelu, "elu": _elu, "celu": _celu,
    "selu": _unary("scaled_elu", **SELU), "mish": _unary("mish"), "exp": _unary("exp"), "softplus": _softplus, "hardsigmoid": _hard_sigmoid, "softmax": _softmax, "_softmax": _softmax,
}  # fmt: skip

HINTS = {"log_softmax": "leave it out: the class with the largest value stays the same", "glu": "use a product with nn.Sigmoid"}
