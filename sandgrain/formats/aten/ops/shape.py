"""Operators that only move, cut, join or repeat elements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import Layout, dense
from sandgrain.formats.aten.ops.base import Arguments, Handler, Result, need
from sandgrain.graph.ops.layout.resize_nearest_neighbor import nearest


def _same(b: Builder, a: Arguments) -> Result:
    return next(iter(a.values.values()))


def _native_dropout(b: Builder, a: Arguments) -> Result:
    return a.x, None


def _reshape(b: Builder, a: Arguments) -> Value:
    return b.reshape(a.x, a.shape)


def _permute(b: Builder, a: Arguments) -> Value:
    rank = len(a.x.shape)
    return Value(a.x.tensor, a.x.layout.permuted([d % rank for d in a["dims"]]))


def _transpose(b: Builder, a: Arguments) -> Value:
    perm = list(range(len(a.x.shape)))
    first, second = a.get("dim0", 0), a.get("dim1", 1)
    perm[first], perm[second] = perm[second], perm[first]
    return Value(a.x.tensor, a.x.layout.permuted(perm))


def _expand(b: Builder, a: Arguments) -> Value:
    need(int(np.prod(a.shape)) == int(np.prod(a.x.shape)), "values repeated along an axis; let an addition broadcast instead")
    return b.reshape(a.x, a.shape)


def _pixel_shuffle(b: Builder, a: Arguments) -> Value:
    """[1, c * r * r, h, w] to [1, c, h * r, w * r]."""
    r = a["upscale_factor"]
    n, c, h, w = a.x.shape
    x = b.reshape(a.x, (n, c // r // r, r, r, h, w))
    return b.reshape(Value(x.tensor, x.layout.permuted((0, 1, 4, 2, 5, 3))), a.shape)


def _channel_shuffle(b: Builder, a: Arguments) -> Value:
    n, c, *rest = a.x.shape
    x = b.reshape(a.x, (n, a["groups"], c // a["groups"], *rest))
    return b.reshape(Value(x.tensor, x.layout.permuted((0, 2, 1, *range(3, len(x.shape))))), a.shape)


# --- parts -----------------------------------------------------------------------------------------------------------


def natural(layout: Layout) -> tuple[int, ...]:
    """An order of all axes that needs no move, or the least: ATen's, channels last, or by where each axis begins."""
    rank = len(layout.axes)
    for order in ((0, *range(2, rank), 1) if rank > 2 else (), tuple(range(rank))):
        if order and layout.memory == layout.ordered(order):
            return order
    place = {number: k for k, number in enumerate(layout.memory)}
    return tuple(sorted(range(rank), key=lambda axis: min((place[n] for n in layout.numbers(axis)), default=-1)))


def sliced(b: Builder, x: Value, axis: int, start: int, size: int, step: int = 1) -> Value:
    """`size` elements along ATen's `axis`, from `start` by `step`."""
    if (start, size, step) == (0, x.shape[axis], 1):
        return x
    if len(x.layout.joined().axes[axis]) > 1:
        x = b.arrange(x, natural(x.layout))
    layout = x.layout.joined()
    (number,) = layout.numbers(axis)
    shape, runs = b.shape(x.tensor), layout.runs(b.shape(x.tensor))
    if runs is None or (number,) not in runs:
        shape = (1, *layout.stored)
        runs = [(), *((n,) for n in layout.memory)]
    dim, rank = runs.index((number,)), len(shape)
    starts, steps, sizes = [0] * rank, [1] * rank, list(shape)
    starts[dim], steps[dim], sizes[dim] = start, step if size > 1 else 1, size
    tensor = b.node(
        "strided_slice", (b.view(x.tensor, shape),), start=tuple(starts), stride=tuple(steps), size=tuple(sizes), drop=()
    )
    axes = list(layout.axes)
    axes[axis] = (size,) if size > 1 else ()
    memory = layout.memory if size > 1 else tuple(n - (n > number) for n in layout.memory if n != number)
    return Value(tensor, Layout(tuple(axes), memory))


def _slice(b: Builder, a: Arguments) -> Value:
    axis = a["dim"] % len(a.x.shape)
    taken = range(*slice(a["start"], a["end"], a["step"]).indices(a.x.shape[axis]))
    need(bool(taken), "an empty slice; take at least one element")
    return sliced(b, a.x, axis, taken.start, len(taken), taken.step)


def _narrow(b: Builder, a: Arguments) -> Value:
    axis = a["dim"] % len(a.x.shape)
    return sliced(b, a.x, axis, a["start"] % a.x.shape[axis], a["length"])


def _select(b: Builder, a: Arguments) -> Value:
    axis = a["dim"] % len(a.x.shape)
    return b.reshape(sliced(b, a.x, axis, a["index"] % a.x.shape[axis], 1), a.shape)


def _flip(b: Builder, a: Arguments) -> Value:
    x = a.x
    for dim in a["dims"]:
        extent = x.shape[dim]
        x = sliced(b, x, dim % len(x.shape), extent - 1, extent, -1) if extent > 1 else x
    return x


def _pieces(b: Builder, x: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    axis %= len(x.shape)
    ends = np.cumsum([0, *sizes]).tolist()
    return tuple(sliced(b, x, axis, first, last - first) for first, last in pairwise(ends))


def _split(b: Builder, a: Arguments) -> Result:
    """Parts of one size (the last may be smaller), or of the sizes in a list."""
    extent = a.x.shape[a["dim"]]
    wish = a.get("split_size", a.get("split_sizes"))
    sizes = [min(wish, extent - k) for k in range(0, extent, wish)] if isinstance(wish, int) else wish
    return _pieces(b, a.x, a["dim"], sizes)


def _chunk(b: Builder, a: Arguments) -> Result:
    extent = a.x.shape[a["dim"]]
    step = -(-extent // a["chunks"])
    return _pieces(b, a.x, a["dim"], [min(step, extent - k) for k in range(0, extent, step)])


def _unbind(b: Builder, a: Arguments) -> Result:
    axis = a["dim"] % len(a.x.shape)
    shape = (*a.x.shape[:axis], *a.x.shape[axis + 1 :])
    return tuple(b.reshape(part, shape) for part in _pieces(b, a.x, axis, [1] * a.x.shape[axis]))


# --- wholes ----------------------------------------------------------------------------------------------------------


def joined(b: Builder, parts: Sequence[Value], axis: int) -> Value:
    """Values joined along ATen's `axis`, in the order in memory of the largest."""
    order = natural(max(parts, key=lambda v: int(np.prod(v.shape))).layout)
    shapes = [tuple(v.shape[k] for k in order) for v in parts]
    tensors = [b.view(b.arrange(v, order).tensor, s) for v, s in zip(parts, shapes, strict=True)]
    out = b.node("concatenation", tensors, axis=order.index(axis))
    whole = list(parts[0].shape)
    whole[axis] = sum(v.shape[axis] for v in parts)
    return Value(out, dense(whole, order))


def _values(b: Builder, a: Arguments) -> list[Value]:
    return [
        v if isinstance(v, Value) else Value(b.constant(np.asarray(v), "constant"), dense(np.shape(v)))
        for v in a["tensors"]
        if isinstance(v, Value) or np.size(v)
    ]


def _cat(b: Builder, a: Arguments) -> Value:
    parts = _values(b, a)
    return joined(b, parts, a["dim"] % len(parts[0].shape))


def _stack(b: Builder, a: Arguments) -> Value:
    axis = a["dim"] % len(a.shape)
    parts = _values(b, a)
    return joined(b, [b.reshape(v, (*v.shape[:axis], 1, *v.shape[axis:])) for v in parts], axis)


def _pad(b: Builder, a: Arguments) -> Value:
    """Zeros on both sides of the last axes; a negative number cuts."""
    x, pads = a.x, a["pad"]
    need(a.get("mode", "constant") == "constant", f"padding by {a.get('mode')}; pad with zeros")
    need(not a.get("value"), f"padding with {a.get('value')}; pad with zeros")
    sides = [(0, 0)] * len(x.shape)
    for k in range(len(pads) // 2):
        axis = len(x.shape) - 1 - k
        before, after = pads[2 * k], pads[2 * k + 1]
        cut = (max(-before, 0), max(-after, 0))
        x = sliced(b, x, axis, cut[0], x.shape[axis] - sum(cut))
        sides[axis] = (max(before, 0), max(after, 0))
    if not any(map(any, sides)):
        return x
    order = natural(x.layout)
    tensor = b.view(b.arrange(x, order).tensor, [x.shape[k] for k in order])
    out = b.node("pad", (tensor,), paddings=tuple(sides[k] for k in order), value=0)
    return Value(out, dense(a.shape, order))


def _upsample(exact: bool) -> Handler:
    def handle(b: Builder, a: Arguments) -> Value:
        """ATen's position: floor((i + 0.5 if exact) * scale), the scale that of the sizes or what the layer was given."""
        x = b.arrange(a.x, (0, *range(2, len(a.x.shape)), 1))
        size = ((1,) if len(a.shape) == 3 else ()) + a.shape[2:]
        factors = a.get("scale_factors") or [a.get(k) for k in ("scales", "scales_h", "scales_w") if k in a.values]
        for n, m, factor in zip(x.shape[2:], a.shape[2:], factors or [None, None], strict=False):
            scale = np.float32(1.0 / factor) if factor else np.float32(n) / np.float32(m)
            wanted = np.floor((np.arange(m, dtype=np.float32) + np.float32(0.5 * exact)) * scale).clip(0, n - 1)
            need(bool((wanted == nearest(n, m, False, exact)).all()), f"a resize from {n} to {m}; use a whole factor")
        out = b.node("resize_nearest_neighbor", (b.image(x)[0],), size=size, align_corners=False, half_pixel_centers=exact)
        return Value(out, dense(a.shape, (0, *range(2, len(a.shape)), 1)))

    return handle


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "alias", "dropout", "feature_dropout", "alpha_dropout", "to", "_to_copy", "type_as",
         "identity", "lift_fresh_copy"),
        _same,
    ),
    "native_dropout": _native_dropout,
    **dict.fromkeys(
        ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"), _reshape
    ),
    "permute": _permute, "transpose": _transpose, "t": _transpose, "swapaxes": _transpose, "expand": _expand,
    "expand_as": _expand, "pixel_shuffle": _pixel_shuffle, "channel_shuffle": _channel_shuffle,
    "native_channel_shuffle": _channel_shuffle,
    "slice": _slice, "narrow": _narrow, "select": _select, "flip": _flip, "split": _split, "split_with_sizes": _split,
    "chunk": _chunk, "unbind": _unbind, "cat": _cat, "concat": _cat, "stack": _stack, "pad": _pad, "constant_pad_nd": _pad,
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d"), _upsample(False)),
    **dict.fromkeys(("_upsample_nearest_exact1d", "_upsample_nearest_exact2d"), _upsample(True)),
}  # fmt: skip

HINTS = {
    "upsample_bicubic2d": "use mode='bilinear'",
    "reflection_pad1d": "pad with zeros",
    "reflection_pad2d": "pad with zeros",
    "replication_pad1d": "pad with zeros",
    "replication_pad2d": "pad with zeros",
    "roll": "use a concatenation of two slices",
    "repeat": "let an addition broadcast instead",
    "gather": "use fixed slices",
}
