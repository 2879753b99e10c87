"""Sums, differences, products and quotients."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops import HANDLERS
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.fold import bounded
from sandgrain.formats.onnx.ops.activation import clipped
from sandgrain.formats.onnx.ops.base import Call, Result, Translator


def pair(call: Call, key: str, x: Any, y: Any) -> Result:
    need(x is not None and y is not None, "it lacks an operand; export the model again")
    shape = bounded(np.broadcast_shapes(x.shape, y.shape))
    values: dict[str, Any] = {"self": x, "other": y}
    return call.aten(key, shape, **(values | {"alpha": 1} if key in ("add", "sub") else values))


def binary(key: str) -> Translator:
    return lambda call: pair(call, key, call.arg(0), call.arg(1))


def _sum(call: Call) -> Result:
    found = call.arg(0)
    for other in call.args[1:]:
        both = isinstance(found, Value) or isinstance(other, Value)
        found = pair(call, "add", found, other) if both else found + other
    return found


def _mean(call: Call) -> Result:
    total = _sum(call)
    return call.aten("mul", total.shape, self=total, other=np.asarray([1 / len(call.args)]))


def _negative(call: Call) -> Result:
    return call.aten("neg", call.x.shape, self=call.x)


def _power(call: Call) -> Result:
    """Whole exponents, as products."""
    x, exponent = call.x, call.given(1, "exponent").reshape(-1)
    need(exponent.size == 1 and exponent[0] in (1, 2, 3), f"a power of {exponent[:3].tolist()}; use 2 or 3, or products")
    if exponent[0] == 1:
        return x
    call.builder.shared.add(x.tensor)
    square = call.aten("pow", x.shape, self=x, exponent=2)
    return square if exponent[0] == 2 else pair(call, "mul", square, x)


def _extreme(key: str, low: bool) -> Translator:
    """With a number a clip, between values their larger or smaller ones."""

    def translate(call: Call) -> Result:
        found = call.arg(0)
        for other in call.args[1:]:
            value, bound = (found, other) if isinstance(found, Value) else (other, found)
            if isinstance(value, Value) and not isinstance(bound, Value) and bound is not None and np.size(bound) == 1:
                level = float(np.reshape(bound, -1)[0])
                found = clipped(call, value, level if low else None, None if low else level)
            else:
                need(key in HANDLERS, "it compares two values; use Relu of their difference")
                found = pair(call, key, found, other)
        return found

    return translate


TRANSLATORS = {
    "Add": binary("add"), "Sub": binary("sub"), "Mul": binary("mul"), "Div": binary("div"), "Sum": _sum, "Mean": _mean,
    "Neg": _negative, "Pow": _power, "Max": _extreme("maximum", True), "Min": _extreme("minimum", False),
}  # fmt: skip

_BEFORE = "compute it in the features, before the model"
HINTS = dict.fromkeys(
    ("Sqrt", "Log", "Abs", "Reciprocal", "Sin", "Cos", "Sign", "Floor", "Ceil", "Round", "Mod", "CumSum"), _BEFORE
) | {
    "Where": "models with conditions are not supported; use products with a Sigmoid",
    **dict.fromkeys(("If", "Loop", "Scan"), "export the model without conditions and loops (torch.jit.trace, constant shapes)"),
    **dict.fromkeys(
        ("Equal", "Greater", "Less", "And", "Or", "Not", "GreaterOrEqual", "LessOrEqual"), "compare outside the model"
    ),
    **dict.fromkeys(("ArgMax", "ArgMin"), "leave it out: the generated classifier takes the largest output"),
    **dict.fromkeys(("TopK", "NonMaxSuppression", "NonZero", "Unique"), "end the model before it, and do it in your own code"),
}
