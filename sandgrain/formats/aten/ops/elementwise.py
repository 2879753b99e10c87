"""Sums, differences and products, with broadcasting and with constants."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Builder, Value, element_options
from sandgrain.formats.aten.layout import aligned, dense
from sandgrain.formats.aten.ops.base import Arguments, Handler, Result, need


def binary(b: Builder, op: str, x: Value, y: Value) -> Value:
    """op(x, y). The larger value's order in memory is kept; the other is brought to it."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = (b.reshape(v, (1,) * (len(shape) - len(v.shape)) + v.shape) for v in (x, y))
    if shape not in (x.shape, y.shape):
        pair = [b.view(v.tensor, v.shape) for v in (b.plain(x), b.plain(y))]
        return Value(b.node(op, pair, **element_options(op)), dense(shape))
    lead, other = (x, y) if x.shape == shape else (y, x)
    pieces = aligned(lead.layout, other.layout)
    if pieces is None:
        lead, other = (Value(b.plain(v).tensor, dense(v.shape)) for v in (lead, other))
        pieces = aligned(lead.layout, other.layout)
    assert pieces is not None
    lead, other = Value(lead.tensor, pieces[0]), Value(other.tensor, pieces[1])
    twin = {  # the lead's factors -> the other's
        n: m
        for axis in range(len(shape))
        if other.layout.axes[axis]
        for n, m in zip(lead.layout.numbers(axis), other.layout.numbers(axis), strict=True)
    }
    other = b.moved(other, [twin[n] for n in lead.layout.memory if n in twin])
    tensors = [b.view(v, s) for v, s in zip((lead.tensor, other.tensor), _shapes(b, lead, set(twin)), strict=True)]
    if x.shape != shape:  # the lead is y
        tensors.reverse()
    return Value(b.node(op, tensors, **element_options(op)), lead.layout)


def _shapes(b: Builder, lead: Value, present: set[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Graph shapes of the lead and of a value that has only its factors `present`."""
    shape, sizes = b.shape(lead.tensor), lead.layout.sizes
    runs = lead.layout.runs(shape)
    if runs is None or any(present.intersection(run) and not present.issuperset(run) for run in runs):
        shape = (1, *lead.layout.stored)
        runs = [(), *((n,) for n in lead.layout.memory)]
    return shape, tuple(math.prod(sizes[n] for n in run if n in present) for run in runs)


def with_constant(b: Builder, op: str, x: Value, data: Array, *, swap: bool = False) -> Value:
    """op(x, data), or op(data, x) with `swap`: in the layer before where it is one number, or one a channel."""
    data = np.asarray(data, np.float64)
    if np.broadcast_shapes(x.shape, data.shape) != x.shape:
        tensor = Value(b.constant(data, "constant"), dense(data.shape))
        return binary(b, op, *((tensor, x) if swap else (x, tensor)))
    data = data.reshape((1,) * (len(x.shape) - data.ndim) + data.shape)
    wide = [k for k, n in enumerate(data.shape) if n > 1]
    if len(wide) < 2 and op in ("add", "sub", "mul"):
        sign = -1.0 if op == "sub" and swap else 1.0
        factor, offset = (data, 0 * data) if op == "mul" else (sign + 0 * data, -data if op == "sub" and not swap else data)
        if b.scaled_before(x, wide[0] if wide else None, factor.reshape(-1), offset.reshape(-1)):
            return x
    return b.binary_constant(op, x, data, swap=swap)


def apply(b: Builder, op: str, x: Value | Array, y: Value | Array) -> Value:
    """op on values and constants, at least one of them a value. Raises UnsupportedError if neither is."""
    if isinstance(x, Value) and isinstance(y, Value):
        return binary(b, op, x, y)
    if isinstance(x, Value):
        return with_constant(b, op, x, np.asarray(y))
    if not isinstance(y, Value):
        raise UnsupportedError("an operator on constants alone; let the framework compute it before the export")
    return with_constant(b, op, y, np.asarray(x), swap=True)


def _sum(op: str) -> Handler:
    def handle(b: Builder, a: Arguments) -> Result:
        return apply(b, op, a["self"], _times(b, a["other"], a.get("alpha", 1)))

    return handle


def _rsub(b: Builder, a: Arguments) -> Value:
    """other - alpha * self."""
    return apply(b, "sub", a["other"], _times(b, a["self"], a.get("alpha", 1)))


def two(op: str) -> Handler:
    """maximum or minimum of two values."""
    return lambda b, a: apply(b, op, a["self"], a["other"])


def _absolute(b: Builder, a: Arguments) -> Value:
    return Value(b.node("abs", (a.x.tensor,)), a.x.layout)


def _times(b: Builder, x: Value | Array, alpha: float) -> Value | Array:
    if not isinstance(x, Value):
        return np.asarray(x) * alpha
    return x if alpha == 1 else with_constant(b, "mul", x, np.asarray(alpha))


def _mul(b: Builder, a: Arguments) -> Value:
    return apply(b, "mul", a["self"], a["other"])


def _div(b: Builder, a: Arguments) -> Value:
    need(not isinstance(a["other"], Value), "a division by a computed value; multiply instead")
    need(a.get("rounding_mode") is None, "a division that rounds; leave the rounding out")
    return apply(b, "mul", a.x, 1.0 / np.asarray(a["other"], np.float64))


def _negative(b: Builder, a: Arguments) -> Value:
    return with_constant(b, "mul", a.x, np.full(1, -1.0))


def _power(b: Builder, a: Arguments) -> Value:
    need(a.get("exponent", 2) == 2, f"a power of {a.get('exponent')}; use 2, or products")
    b.shared.add(a.x.tensor)
    return binary(b, "mul", a.x, a.x)


HANDLERS: dict[str, Handler] = {
    "add": _sum("add"), "sub": _sum("sub"), "rsub": _rsub, "mul": _mul, "div": _div, "neg": _negative,
    "pow": _power, "square": _power, "abs": _absolute, "maximum": two("maximum"), "minimum": two("minimum"),
}  # fmt: skip

HINTS = {
    "sqrt": "compute it in the features, before the model",
    "rsqrt": "compute it in the features, before the model",
    "log": "compute it in the features, before the model",
    "where": "models with conditions are not supported; use products with a sigmoid",
    "argmax": "leave it out: the generated classifier takes the largest output",
}
