"""What ONNX nodes compute on constants alone: mostly the arithmetic of shapes. Sizes are bounded before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.onnx.program import KINDS, MAX_ELEMENTS

Args = Sequence[Any]  # arrays, None where one is absent
Attrs = dict[str, Any]
Fold = Callable[[Args, Attrs], Any]


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape`. Raises UnsupportedError where it holds more than any model needs."""
    found = tuple(int(n) for n in shape)
    if any(n < 0 for n in found) or math.prod(found) > MAX_ELEMENTS:
        raise UnsupportedError(f"constants of the shape {list(found)[:8]}; use at most {MAX_ELEMENTS} elements")
    return found


def _binary(function: Callable[[Array, Array], Any]) -> Fold:
    def fold(args: Args, attrs: Attrs) -> Array:
        bounded(np.broadcast_shapes(args[0].shape, args[1].shape))
        return np.asarray(function(args[0], args[1]))

    return fold


def _unary(function: Callable[[Array], Any]) -> Fold:
    return lambda args, attrs: np.asarray(function(args[0])).astype(args[0].dtype)


def _divide(a: Array, b: Array) -> Array:
    """ONNX cuts the quotient of integers towards zero."""
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise UnsupportedError("a division of integers by zero; export the model again")
    return np.trunc(a / b).astype(a.dtype)


def listed(args: Args, attrs: Attrs, position: int, name: str) -> list[int] | None:
    """Integers that are an attribute in old opsets and an input in new ones."""
    given = args[position] if len(args) > position else None
    if given is None:
        given = attrs.get(name)
    return None if given is None else [int(v) for v in np.asarray(given).reshape(-1)]


def unsqueezed(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """`shape` with new axes of size 1 at the places `axes` of the result."""
    rank = len(shape) + len(axes)
    new = {k % rank for k in axes}
    rest = iter(shape)
    return tuple(1 if k in new else next(rest) for k in range(rank))


def squeezed(shape: Sequence[int], axes: Sequence[int] | None) -> tuple[int, ...]:
    """`shape` without the axes named, or without all of size 1."""
    gone = {k for k, n in enumerate(shape) if n == 1} if axes is None else {k % len(shape) for k in axes}
    return tuple(n for k, n in enumerate(shape) if k not in gone)


def reshaped(shape: Sequence[int], wish: Sequence[int], allow_zero: bool) -> tuple[int, ...]:
    """What Reshape gives: 0 keeps the axis, -1 takes the remaining elements."""
    found = [shape[k] if n == 0 and not allow_zero else int(n) for k, n in enumerate(wish)]
    if found.count(-1) == 1:
        known = math.prod(n for n in found if n != -1)
        found[found.index(-1)] = math.prod(shape) // max(known, 1)
    if math.prod(found) != math.prod(shape) or min(found, default=1) < 0:
        raise UnsupportedError(f"a reshape from {list(shape)} to {list(wish)[:8]}; export the model with fixed shapes")
    return tuple(found)


def flattened(shape: Sequence[int], axis: int) -> tuple[int, int]:
    """What Flatten gives."""
    axis = axis + len(shape) if axis < 0 else axis
    return math.prod(shape[:axis]), math.prod(shape[axis:])


def ranges(shape: Sequence[int], args: Args) -> list[tuple[int, range]]:
    """(axis, the positions taken) of a Slice with the inputs `args`: starts, ends, axes, steps."""
    starts, ends = (np.asarray(a).reshape(-1).tolist() for a in args[:2])
    axes = np.asarray(args[2]).reshape(-1).tolist() if len(args) > 2 and args[2] is not None else list(range(len(starts)))
    steps = np.asarray(args[3]).reshape(-1).tolist() if len(args) > 3 and args[3] is not None else [1] * len(starts)
    return [
        (axis % len(shape), range(*slice(a, b, s).indices(shape[axis])))
        for a, b, axis, s in zip(starts, ends, axes, steps, strict=True)
    ]


def _slice(args: Args, attrs: Attrs) -> Array:
    found = args[0]
    for axis, taken in ranges(found.shape, args[1:]):
        found = np.take(found, np.asarray(taken, np.int64), axis)
    return np.asarray(found)


def _gather(args: Args, attrs: Attrs) -> Array:
    axis, x, at = attrs.get("axis", 0), args[0], args[1]
    bounded((*x.shape[:axis], *at.shape, *x.shape[axis:][1:]))
    return np.asarray(np.take(x, at, axis))


def _concat(args: Args, attrs: Attrs) -> Array:
    bounded((sum(a.size for a in args),))
    return np.asarray(np.concatenate(args, attrs["axis"]))


def _range(args: Args, attrs: Attrs) -> Array:
    first, last, step = (a.item() for a in args)
    if not step or not math.isfinite(first + last + step):
        raise UnsupportedError("a range without a step; export the model again")
    count = max(0, math.ceil((last - first) / step))
    return np.asarray(first + step * np.arange(*bounded((count,))), args[0].dtype)


def _constant(args: Args, attrs: Attrs) -> Array:
    for key, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if key in attrs:
            return np.asarray(attrs[key], dtype)
    if not isinstance(attrs.get("value"), np.ndarray):
        raise UnsupportedError("a constant that is no dense array of numbers; export the model again")
    found: Array = attrs["value"]
    return found


def _filled(args: Args, attrs: Attrs) -> Array:
    value = attrs.get("value", np.zeros(1, np.float32))
    return np.full(bounded(args[0].reshape(-1)), value.reshape(-1)[0], value.dtype)


def _expand(args: Args, attrs: Attrs) -> Array:
    shape = bounded(args[1].reshape(-1))
    return np.broadcast_to(args[0], bounded(np.broadcast_shapes(args[0].shape, shape)))


def _tile(args: Args, attrs: Attrs) -> Array:
    repeats = args[1].reshape(-1).tolist()
    bounded([n * r for n, r in zip(args[0].shape, repeats, strict=True)])
    return np.tile(args[0], repeats)


def _cast(args: Args, attrs: Attrs) -> Array:
    if attrs["to"] not in KINDS:
        raise UnsupportedError("a cast to a type that is not read; use float32 or int64")
    wanted = KINDS[attrs["to"]]
    return np.asarray(args[0]).astype(np.float32 if wanted.kind == "f" else wanted)


def _reduce(function: Callable[..., Any]) -> Fold:
    def fold(args: Args, attrs: Attrs) -> Array:
        axes = listed(args, attrs, 1, "axes")
        if not axes and attrs.get("noop_with_empty_axes"):
            return np.asarray(args[0])
        keep = bool(attrs.get("keepdims", 1))
        return np.asarray(function(args[0], axis=tuple(axes) if axes else None, keepdims=keep)).astype(args[0].dtype)

    return fold


def _where(args: Args, attrs: Attrs) -> Array:
    bounded(np.broadcast_shapes(*(a.shape for a in args)))
    return np.asarray(np.where(args[0], args[1], args[2]))


def _permuted(args: Args, attrs: Attrs) -> Array:
    return np.transpose(args[0], attrs.get("perm"))


FOLDS: dict[str, Fold] = {
    "Constant": _constant, "ConstantOfShape": _filled, "Identity": lambda args, attrs: args[0],
    "Shape": lambda args, attrs: np.asarray(args[0].shape[attrs.get("start", 0) : attrs.get("end")], np.int64),
    "Size": lambda args, attrs: np.asarray(args[0].size, np.int64),
    "Gather": _gather, "Concat": _concat, "Slice": _slice, "Range": _range, "Expand": _expand, "Tile": _tile, "Cast": _cast,
    "Unsqueeze": lambda args, attrs: args[0].reshape(unsqueezed(args[0].shape, listed(args, attrs, 1, "axes") or [])),
    "Squeeze": lambda args, attrs: args[0].reshape(squeezed(args[0].shape, listed(args, attrs, 1, "axes"))),
    "Reshape": lambda args, attrs: args[0].reshape(reshaped(args[0].shape, args[1].reshape(-1), bool(attrs.get("allowzero")))),
    "Flatten": lambda args, attrs: args[0].reshape(flattened(args[0].shape, attrs.get("axis", 1))),
    "Transpose": _permuted, "Where": _where,
    "Add": _binary(np.add), "Sub": _binary(np.subtract), "Mul": _binary(np.multiply), "Div": _binary(_divide),
    "Mod": _binary(np.mod), "Pow": _binary(lambda a, b: np.power(a, b.astype(a.dtype))),
    "Equal": _binary(np.equal), "Greater": _binary(np.greater), "Less": _binary(np.less), "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or), "Max": _binary(np.maximum), "Min": _binary(np.minimum),
    "Not": lambda args, attrs: np.logical_not(args[0]),
    "Neg": _unary(np.negative), "Abs": _unary(np.abs), "Sqrt": _unary(np.sqrt), "Exp": _unary(np.exp), "Log": _unary(np.log),
    "Floor": _unary(np.floor), "Ceil": _unary(np.ceil), "Round": _unary(np.rint), "Reciprocal": _unary(np.reciprocal),
    "ReduceProd": _reduce(np.prod), "ReduceSum": _reduce(np.sum), "ReduceMax": _reduce(np.max), "ReduceMin": _reduce(np.min),
}  # fmt: skip
