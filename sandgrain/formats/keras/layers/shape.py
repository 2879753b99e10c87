"""Layers that move, cut, repeat or keep elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.shape import sliced
from sandgrain.formats.keras.config import MOST, checked_whole
from sandgrain.formats.keras.layers.base import Handler, Layer, aten, channels_first, zero_padded

MAX_SIZE = 1 << 24  # elements of a value that grows


def _same(layer: Layer) -> Value:
    return layer.x


def _reshaped(layer: Layer, x: Value, target: Sequence[Any]) -> Value:
    """`target`: without the batch, one of its sizes may be -1."""
    shown = printable(str(list(target))[:60])
    if not all(isinstance(n, int) and not isinstance(n, bool) and (n == -1 or 0 < n <= MOST) for n in target):
        raise ModelError(f"a reshape to {shown}; save the model again")
    count, known = math.prod(x.shape), math.prod(n for n in target if n != -1)
    if list(target).count(-1) > 1 or count % known or (-1 not in target and count != known):
        raise ModelError(f"a reshape of {list(x.shape[1:])} to {shown}; save the model again")
    return layer.b.reshape(x, (1, *(count // known if n == -1 else n for n in target)))


def _reshape(layer: Layer) -> Value:
    target = layer.config.values.get("target_shape")
    return _reshaped(layer, layer.x, target if isinstance(target, list | tuple) else [target])


def _flatten(layer: Layer) -> Value:
    return _reshaped(layer, layer.x, [-1])


def _permuted(x: Value, perm: Sequence[Any]) -> Value:
    if sorted(perm, key=str) != sorted(range(len(x.shape)), key=str) or perm[0] != 0:
        raise UnsupportedError(f"a permutation to {printable(str(list(perm))[:40])}; leave the batch in front")
    return Value(x.tensor, x.layout.permuted(perm))


def _permute(layer: Layer) -> Value:
    dims = layer.config.values.get("dims")
    return _permuted(layer.x, [0, *dims] if isinstance(dims, list | tuple) else [])


def _repeat(layer: Layer) -> Value:
    """[1, c] to [1, n, c]: row 0 taken n times."""
    x, count = layer.ranked(2), layer.config.whole("n", low=1)
    rows = layer.b.reshape(x, (1, 1, x.shape[1]))
    _small(layer, (1, count, x.shape[1]))
    return aten(  # type: ignore[no-any-return]
        layer.b, "index_select", (1, count, x.shape[1]), self=rows, dim=1, index=np.zeros(count, np.int64)
    )


def _sides(layer: Layer, name: str, rank: int) -> list[tuple[int, int]]:
    """(before, after) along each of `rank` axes: one number for all, one an axis, or two an axis."""
    given = layer.config.values.get(name)
    if isinstance(given, int):
        given = [given] * rank
    if rank == 1 and isinstance(given, list | tuple) and len(given) == 2 and all(isinstance(n, int) for n in given):
        given = [given]
    if not isinstance(given, list | tuple) or len(given) != rank:
        raise ModelError(f"{name} is {printable(str(given)[:40])}; save the model again")
    pairs = [(n, n) if isinstance(n, int) else n for n in given]
    if not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise ModelError(f"{name} is {printable(str(given)[:40])}; save the model again")
    return [(checked_whole(name, p[0]), checked_whole(name, p[1])) for p in pairs]


def _zero_padding(rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        return zero_padded(layer.b, layer.ranked(rank + 2), _sides(layer, "padding", rank))

    return handle


def _cropping(rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        x = layer.ranked(rank + 2)
        for axis, (before, after) in enumerate(_sides(layer, "cropping", rank), 1):
            size = x.shape[axis] - before - after
            if size < 1:
                raise ModelError(f"a cropping that leaves nothing of {list(x.shape[1:])}; crop less")
            x = sliced(layer.b, x, axis, before, size)
        return x

    return handle


def _up_sampling(rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        x, factors = layer.ranked(rank + 2), layer.config.sizes("size", rank, 2)
        kind = layer.config.word("interpolation", "nearest", "bilinear")
        out = tuple(n * f for n, f in zip(x.shape[1:-1], factors, strict=True))
        _small(layer, (*out, x.shape[-1]))
        tensor = layer.b.image(channels_first(layer.b.plain(x)))[0]
        op, half = ("resize_nearest_neighbor", False) if kind == "nearest" else ("resize_bilinear", True)
        size = (1,) * (2 - rank) + out
        made = layer.b.node(op, (tensor,), size=size, align_corners=False, half_pixel_centers=half)
        return Value(made, dense((1, *out, x.shape[-1])))

    return handle


def _small(layer: Layer, shape: Sequence[int]) -> None:
    if math.prod(shape) > MAX_SIZE:
        raise UnsupportedError(f"its output {list(shape)} is too large; use a smaller model")


# --- keras.ops -----------------------------------------------------------------------------------------------------------


def _option(layer: Layer, name: str, default: Any = None) -> Any:
    return layer.kwargs.get(name, layer.config.values.get(name, default))


def _axes(layer: Layer) -> tuple[int, ...]:
    rank, given = len(layer.x.shape), _option(layer, "axis")
    given = range(1, rank) if given is None else given if isinstance(given, list | tuple) else [given]
    if not all(isinstance(a, int) and -rank <= a < rank and a % rank for a in given):
        raise UnsupportedError(f"over the axes {printable(str(list(given))[:40])}; leave the batch out")
    return tuple(sorted({a % rank for a in given}))


def _reduced(operator: str) -> Handler:
    def handle(layer: Layer) -> Value:
        return aten(  # type: ignore[no-any-return]
            layer.b, operator, (), self=layer.x, dim=list(_axes(layer)), keepdim=bool(_option(layer, "keepdims", False))
        )

    return handle


def _ops_reshape(layer: Layer) -> Value:
    target = _option(layer, "newshape", layer.args[1] if len(layer.args) > 1 else None)
    if not isinstance(target, list | tuple) or not target or target[0] not in (-1, 1, None):
        raise UnsupportedError("a reshape of the batch; keep -1 or 1 in front")
    return _reshaped(layer, _first(layer), target[1:])


def _transpose(layer: Layer) -> Value:
    axes = _option(layer, "axes")
    return _permuted(layer.x, axes if isinstance(axes, list | tuple) else range(len(layer.x.shape))[::-1])


def _expand(layer: Layer) -> Value:
    rank, axis = len(layer.x.shape) + 1, _option(layer, "axis")
    if not isinstance(axis, int) or not -rank <= axis < rank or not axis % rank:
        raise UnsupportedError("an axis in front of the batch; add it behind")
    shape = list(layer.x.shape)
    shape.insert(axis % rank, 1)
    return layer.b.reshape(layer.x, shape)


def _squeeze(layer: Layer) -> Value:
    axes = [a for a in range(1, len(layer.x.shape)) if layer.x.shape[a] == 1] if _option(layer, "axis") is None else _axes(layer)
    if any(layer.x.shape[a] != 1 for a in axes):
        raise ModelError("an axis that is not of size 1; save the model again")
    return layer.b.reshape(layer.x, [n for a, n in enumerate(layer.x.shape) if a not in axes])


def _first(layer: Layer) -> Value:
    """The value that an operation with more arguments is about."""
    value = layer.args[0] if layer.args else layer.kwargs.get("x")
    if not isinstance(value, Value):
        raise UnsupportedError("its input is a constant; feed it the model's input or what follows from it")
    return value


def _item(layer: Layer) -> Value:
    """x[...]: slices and positions, the batch whole."""
    x = _first(layer)
    key = layer.args[1] if len(layer.args) > 1 else layer.kwargs.get("key")
    key = list(key) if isinstance(key, list | tuple) else [key]
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key[at : at + 1] = [slice(None)] * (len(x.shape) - len(key) + 1)
    if not key or len(key) > len(x.shape) or not all(isinstance(k, int | slice) for k in key):
        raise UnsupportedError("a choice of elements by other than numbers and slices; use those")
    gone = []
    for axis, k in enumerate(key):
        extent = x.shape[axis]
        taken = range(*k.indices(extent)) if isinstance(k, slice) else range(k % extent, k % extent + 1)
        if not taken or (not isinstance(k, slice) and not -extent <= k < extent) or (axis == 0 and not isinstance(k, slice)):
            raise UnsupportedError(f"a choice of nothing, or of the batch, from {list(x.shape)}; take at least one element")
        x = sliced(layer.b, x, axis, taken.start, len(taken), taken.step)
        gone += [] if isinstance(k, slice) else [axis]
    return layer.b.reshape(x, [n for a, n in enumerate(x.shape) if a not in gone]) if gone else x


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(
        ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "Identity",
         "ActivityRegularization"),
        _same,
    ),
    "Reshape": _reshape, "Flatten": _flatten, "Permute": _permute, "RepeatVector": _repeat,
    **{f"{name}{rank}D": make(rank) for rank in (1, 2)
       for name, make in (("ZeroPadding", _zero_padding), ("Cropping", _cropping), ("UpSampling", _up_sampling))},
}  # fmt: skip
OPERATIONS: dict[str, Handler] = {
    "Mean": _reduced("mean"),
    "Max": _reduced("amax"),
    "Sum": _reduced("sum"),
    "Reshape": _ops_reshape,
    "Transpose": _transpose,
    "ExpandDims": _expand,
    "Squeeze": _squeeze,
    "GetItem": _item,
}
HINTS = {
    "Masking": "feed sequences of one length, and leave it out",
    "Lambda": "it holds code, which is not run; use a layer instead",
    **{f"{name}3D": "use layers over one or two axes" for name in ("ZeroPadding", "Cropping", "UpSampling")},
}
