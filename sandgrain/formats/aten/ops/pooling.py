"""Pools and means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import Layout
from sandgrain.formats.aten.ops.base import Arguments, Handler, Result, need, plane
from sandgrain.formats.aten.ops.elementwise import two
from sandgrain.formats.aten.ops.shape import joined, sliced

MAX_PIECES = 16  # outputs of an adaptive pool whose windows differ: each is a layer of its own


def _max_pool(b: Builder, a: Arguments) -> Value:
    rank = _rank(a)
    need(plane(a["dilation"], rank, 1) == (1, 1), "a dilated pool; use dilation 1")
    return _pool(b, a, "max_pool_2d", plane(a["padding"], rank, 0))


def _average_pool(b: Builder, a: Arguments) -> Value:
    """Sandgrain's average leaves padding out; where it counts, it becomes zeros of the input."""
    need(a.get("divisor_override") is None, "a pool with a divisor of its own; multiply instead")
    padding = plane(a["padding"], _rank(a), 0)
    if not (a["count_include_pad"] and any(padding)):
        return _pool(b, a, "average_pool_2d", padding)
    return _pool(b, a, "average_pool_2d", (0, 0), zeros=padding)


def _rank(a: Arguments) -> int:
    rank = len(a.x.shape) - 2
    need(rank in (1, 2), "a pool over other than one or two axes; feed [1, channels, ...]")
    return rank


def _pool(b: Builder, a: Arguments, op: str, padding: tuple[int, int], zeros: tuple[int, int] = (0, 0)) -> Value:
    """`padding` is left out of the windows; `zeros` (on each side of height and width) count."""
    rank = _rank(a)
    kernel = plane(a["kernel_size"], rank, 1)
    stride = plane(a["stride"], rank, 1) if a["stride"] else kernel
    x = b.arrange(a.x, (0, *range(2, rank + 2), 1), free=(1,))
    tensor = b.image(x)[0]
    if any(zeros):
        pads = ((0, 0), (zeros[0],) * 2, (zeros[1],) * 2, (0, 0))
        tensor = b.node("pad", (tensor,), paddings=pads, value=0)
    size, wanted = b.shape(tensor)[1:3], ((1,) if rank == 1 else ()) + a.shape[2:]
    # With ceil_mode the last window may reach beyond the input; what lies there is left out.
    after = [(w - 1) * s + k - n - p for w, s, k, n, p in zip(wanted, stride, kernel, size, padding, strict=True)]
    sides = tuple(v for p, q in zip(padding, after, strict=True) for v in (p, max(q, 0)))
    out = b.node(op, (tensor,), kernel=kernel, stride=stride, padding=sides, activation="none")
    return _shrunk(x, out, a.shape)


def _shrunk(x: Value, out: int, shape: Sequence[int]) -> Value:
    """An image as large as `shape`, its channels as they lie in `x`, which is arranged with its channels last."""
    channels, numbers = x.layout.axes[1], x.layout.numbers(1)
    spatial = [(n,) if n > 1 else () for n in shape[2:]]
    lead = sum(len(s) for s in spatial)
    inner = [n - numbers[0] for n in x.layout.memory if n in numbers]
    return Value(out, Layout(((), channels, *spatial), (*range(len(channels), len(channels) + lead), *inner)))


def _windows(size: int, wanted: int) -> list[tuple[int, int]]:
    """(first, beyond) of the elements that each output of an adaptive pool is of."""
    return [(k * size // wanted, -(-(k + 1) * size // wanted)) for k in range(wanted)]


def _even(windows: list[tuple[int, int]]) -> tuple[int, int] | None:
    """(kernel, stride) of windows of one size at one distance; None for others."""
    sizes, steps = {last - first for first, last in windows}, {b[0] - a[0] for a, b in pairwise(windows)}
    return (sizes.pop(), steps.pop() if steps else 1) if len(sizes) == 1 and len(steps) < 2 else None


def _pieced(b: Builder, x: Value, axis: int, windows: list[tuple[int, int]], op: str) -> Value:
    """Windows of different sizes along one axis, each by itself."""
    need(
        len(windows) <= MAX_PIECES,
        f"an adaptive pool from {x.shape[axis]} to {len(windows)}; choose sizes that divide the input's",
    )
    x = b.arrange(x, (0, *range(2, len(x.shape)), 1))
    over = mean if op == "average_pool_2d" else largest
    return joined(b, [over(b, sliced(b, x, axis, first, last - first), (axis,), True) for first, last in windows], axis)


def _adaptive(op: str) -> Handler:
    def handle(b: Builder, a: Arguments) -> Value:
        x, rank = a.x, _rank(a)
        size, wanted = x.shape[2:], a.shape[2:]
        if size == wanted:
            return x
        if math.prod(wanted) == 1:
            axes = tuple(range(2, rank + 2))
            return mean(b, x, axes, True) if op == "average_pool_2d" else largest(b, x, axes, True)
        for k in range(rank):
            windows = _windows(size[k], wanted[k])
            if not _even(windows):
                x = _pieced(b, x, k + 2, windows, op)
        if x.shape[2:] == wanted:
            return x
        # The remaining axes have windows of one size, which one pool takes; those done above have windows of one element.
        even = [_even(_windows(n, w)) for n, w in zip(x.shape[2:], wanted, strict=True)]
        kernel, stride = zip(*(pair for pair in even if pair), strict=True)
        return _pool(b, Arguments("", {"input": x, "kernel_size": kernel, "stride": stride}, a.shape), op, (0, 0))

    return handle


def _with_indices(handle: Handler) -> Handler:
    """For operators that return (values, indices); the indices are nobody's."""
    return lambda b, a: (handle(b, a), None)


# --- over whole axes -------------------------------------------------------------------------------------------------


def _axes(a: Arguments) -> tuple[int, ...]:
    rank, dims = len(a.x.shape), a.get("dim")
    dims = range(rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    return tuple(sorted({d % rank for d in dims}))


def _after(layout: Layout, axes: Sequence[int], keep: bool) -> Layout:
    """The layout without the factors of `axes`, which stay as axes of size 1 with `keep`."""
    gone = {n for axis in axes for n in layout.numbers(axis)}
    kept = {n: k for k, n in enumerate(n for n in range(len(layout.memory)) if n not in gone)}
    left = tuple(() if k in axes else f for k, f in enumerate(layout.axes) if keep or k not in axes)
    return Layout(left, tuple(kept[n] for n in layout.memory if n not in gone))


def mean(b: Builder, x: Value, axes: Sequence[int], keep: bool, op: str = "mean") -> Value:
    """The mean (or `op`) over ATen's `axes`."""
    gone = {n for axis in axes for n in x.layout.numbers(axis)}
    after = _after(x.layout, axes, keep)
    if not gone:
        return Value(x.tensor, after)
    shape = b.shape(x.tensor)
    runs = x.layout.runs(shape)
    if runs is None or any(gone.intersection(run) and not gone.issuperset(run) for run in runs):
        shape = (1, *x.layout.stored)
        runs = [(), *((n,) for n in x.layout.memory)]
    reduced = tuple(k for k, run in enumerate(runs) if run and gone.issuperset(run))
    out = b.node(op, (b.view(x.tensor, shape),), axes=reduced, keep_dims=False)
    return Value(out, after)


def largest(b: Builder, x: Value, axes: Sequence[int], keep: bool) -> Value:
    """The maximum over ATen's `axes`, as a max pool over all of them: what lies outside them in memory is its batch."""
    gone = {n for axis in axes for n in x.layout.numbers(axis)}
    if not gone:
        return Value(x.tensor, _after(x.layout, axes, keep))
    memory = x.layout.memory
    first = min(k for k, n in enumerate(memory) if n in gone)
    if not gone.issuperset(memory[first : first + len(gone)]):
        x = b.moved(x, (*sorted(gone), *(n for n in memory if n not in gone)))
        first = 0
    stored = x.layout.stored
    outer, side, inner = (math.prod(p) for p in (stored[:first], stored[first : first + len(gone)], stored[first + len(gone) :]))
    tensor = b.view(x.tensor, (outer, side, 1, inner))
    pool: dict[str, Any] = {"kernel": (side, 1), "stride": (1, 1), "padding": (0, 0, 0, 0), "activation": "none"}
    return Value(b.node("max_pool_2d", (tensor,), **pool), _after(x.layout, axes, keep))


def _mean(b: Builder, a: Arguments) -> Value:
    return mean(b, a.x, _axes(a), bool(a.get("keepdim")))


def _sum(b: Builder, a: Arguments) -> Value:
    return mean(b, a.x, _axes(a), bool(a.get("keepdim")), "sum")


def _amax(b: Builder, a: Arguments) -> Result:
    if "other" in a.values:
        return two("maximum")(b, a)
    found = largest(b, a.x, _axes(a), bool(a.get("keepdim")))
    return (found, None) if a.overload == "dim" else found


def _amin(b: Builder, a: Arguments) -> Result:
    need("other" in a.values, "a minimum over an axis; negate, take amax, negate")
    return two("minimum")(b, a)


HANDLERS: dict[str, Handler] = {
    "max_pool1d": _max_pool, "max_pool2d": _max_pool, "avg_pool1d": _average_pool, "avg_pool2d": _average_pool,
    "adaptive_avg_pool1d": _adaptive("average_pool_2d"), "adaptive_avg_pool2d": _adaptive("average_pool_2d"),
    "adaptive_max_pool1d": _with_indices(_adaptive("max_pool_2d")),
    "adaptive_max_pool2d": _with_indices(_adaptive("max_pool_2d")),
    "max_pool2d_with_indices": _with_indices(_max_pool), "max_pool1d_with_indices": _with_indices(_max_pool),
    "mean": _mean, "sum": _sum, "amax": _amax, "max": _amax, "min": _amin,
}  # fmt: skip

HINTS = {
    "amin": "negate, take amax, negate",
    "var": "its statistics are computed at run time; use batch norm",
    "std": "use batch norm",
}
