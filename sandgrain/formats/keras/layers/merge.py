"""Layers that take several inputs, and the arithmetic of keras.ops."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.elementwise import apply
from sandgrain.formats.aten.ops.linear import linear, matmul
from sandgrain.formats.aten.ops.shape import joined
from sandgrain.formats.keras.layers.base import Handler, Layer

Term = Any  # a Value, an array or a number


def _merged(op: str) -> Handler:
    def handle(layer: Layer) -> Value:
        return functools.reduce(lambda x, y: _checked(layer, op, x, y), layer.xs)

    return handle


def _checked(layer: Layer, op: str, x: Term, y: Term) -> Value:
    """op(x, y). Raises ModelError for shapes that do not fit."""
    terms = []
    for term in (x, y):
        if not isinstance(term, Value | int | float | np.ndarray) or isinstance(term, bool):
            raise UnsupportedError("an operand that is neither a tensor nor a number; compute it from the input")
        terms.append(term if isinstance(term, Value) else np.asarray(term, np.float64))
    if not any(isinstance(t, Value) for t in terms):
        raise UnsupportedError("it computes with constants alone; compute them before the model")
    try:
        np.broadcast_shapes(*(t.shape for t in terms))
    except ValueError:
        raise ModelError(
            f"shapes {' and '.join(str(list(t.shape)) for t in terms)} that do not fit; save the model again"
        ) from None
    return apply(layer.b, op, *terms)


def _average(layer: Layer) -> Value:
    return _checked(layer, "mul", _merged("add")(layer), 1.0 / len(layer.xs))


def _concatenate(layer: Layer) -> Value:
    xs, axis = layer.xs, layer.config.values.get("axis", -1)
    rank = len(xs[0].shape)
    if not isinstance(axis, int) or not -rank <= axis < rank or not axis % rank:
        raise ModelError(f"axis {printable(str(axis)[:20])} of {rank} axes; concatenate along another than the batch")
    axis %= rank
    shapes = {tuple(v.shape[:axis] + v.shape[axis + 1 :]) for v in xs}
    if len(shapes) > 1 or any(len(v.shape) != rank for v in xs):
        raise ModelError(f"shapes {', '.join(str(list(v.shape)) for v in xs[:4])} that do not fit; save the model again")
    return joined(layer.b, xs, axis) if len(xs) > 1 else xs[0]


# --- keras.ops: `x + y` in a functional model ----------------------------------------------------------------------------


def _operands(layer: Layer) -> list[Term]:
    """The two of an operation."""
    found = [*layer.args, *(layer.kwargs[k] for k in ("x1", "x2") if k in layer.kwargs)]
    if len(found) != 2:
        raise ModelError(f"{len(found)} operands where it takes 2; save the model again")
    return found


def _binary(op: str) -> Handler:
    def handle(layer: Layer) -> Value:
        x, y = _operands(layer)
        return _checked(layer, op, x, y)

    return handle


def _divide(layer: Layer) -> Value:
    x, y = _operands(layer)
    if isinstance(y, Value):
        raise UnsupportedError("a division by a computed value; multiply instead")
    divisor = np.asarray(y, np.float64)
    if not divisor.all():
        raise ModelError("a division by zero; save the model again")
    return _checked(layer, "mul", x, 1.0 / divisor)


def _negative(layer: Layer) -> Value:
    return _checked(layer, "mul", layer.x, -1.0)


def _square(layer: Layer) -> Value:
    layer.b.shared.add(layer.x.tensor)
    return _checked(layer, "mul", layer.x, layer.x)


def _matmul(layer: Layer) -> Value:
    x, y = _operands(layer)
    if isinstance(x, Value) and isinstance(y, Value):
        if min(len(x.shape), len(y.shape)) < 2 or x.shape[-1] != y.shape[-2]:
            raise ModelError(f"matrices {list(x.shape)} and {list(y.shape)} that do not fit; save the model again")
        return matmul(layer.b, x, y)
    if isinstance(x, Value) and isinstance(y, np.ndarray) and y.ndim == 2 and x.shape[-1] == len(y):
        return linear(layer.b, x, np.asarray(y, np.float32).T, None)
    raise UnsupportedError("a product with a constant on the left; use Dense")


HANDLERS: dict[str, Handler] = {
    "Add": _merged("add"),
    "Subtract": _merged("sub"),
    "Multiply": _merged("mul"),
    "Maximum": _merged("maximum"),
    "Minimum": _merged("minimum"),
    "Average": _average,
    "Concatenate": _concatenate,
}
OPERATIONS: dict[str, Handler] = {
    "Add": _binary("add"), "Subtract": _binary("sub"), "Multiply": _binary("mul"), "Maximum": _binary("maximum"),
    "Minimum": _binary("minimum"), "Divide": _divide, "TrueDivide": _divide, "Negative": _negative, "Square": _square,
    "Concatenate": _concatenate, "Matmul": _matmul,
}  # fmt: skip
HINTS = {
    "Dot": "use MultiHeadAttention, or keras.ops.matmul",
    "Sqrt": "compute it in the features",
    "Log": "compute it in the features",
}
