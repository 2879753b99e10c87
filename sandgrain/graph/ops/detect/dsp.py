"""The distances on cores with DSP instructions: rows of features as pairs of int16, tables in the order they are read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch
from sandgrain.graph.ops.detect.base import triangle

Weighted = Callable[[View], tuple[Array, Array | None, Array]]
Whitened = Callable[[View], tuple[Array, Array, Array, Array]]
CENTROIDS = (-16511, 16384)  # 128 x - c fits int16 for these


def pairs(values: Array, multiple: int = 2) -> Array:
    """int16 [..., n] to int32 [..., pairs]: the first of a pair in the low half, zeros up to a `multiple` of values."""
    odd = -values.shape[-1] % multiple
    even = np.concatenate([values, np.zeros((*values.shape[:-1], odd), values.dtype)], axis=-1)
    halves = np.ascontiguousarray(even, "<i2").view("<i4").astype(np.int32)
    return halves.reshape(*values.shape[:-1], even.shape[-1] // 2)


def _scratch(view: View) -> int:
    """One row as int16, a multiple of four values."""
    return 8 * ((int(view.attrs["depth"]) + 3) // 4)


def _common(view: View, bias: Array) -> dict[str, int | float | tuple[int, ...] | Array]:
    depth, (count, components) = view.attrs["depth"], view.out.shape
    return {
        "bias": bias, "rows": count, "step": view.attrs["step"], "depth": depth,
        "components": components, "shift": view.attrs["shift"],
    }  # fmt: skip


def weighted_dsp(tables: Weighted) -> Kernel:
    """`tables(view)`: (centroids, factors or None, bias)."""

    def lower(view: View) -> tuple[Call, ...]:
        centroids, factors, bias = tables(view)
        args = (In(0), Out(0), Scratch())
        if factors is None:
            fields = {**_common(view, bias), "centroids": pairs(centroids, 4)}
            return (Call("armv7em/plain_distance_dsp_s8.h", fields, args),)
        both = np.stack([pairs(centroids, 4), pairs(factors, 4)], axis=2)
        fields = {**_common(view, bias), "tables": both, "drop": view.attrs["drop"]}
        return (Call("armv7em/weighted_distance_dsp_s8.h", fields, args),)

    def accepts(view: View) -> bool:
        centroids = tables(view)[0]
        return bool(((centroids >= CENTROIDS[0]) & (centroids <= CENTROIDS[1])).all())

    return Kernel("weighted_distance_dsp_s8", lower, frozenset({"dsp"}), accepts, _scratch)


def whitened_dsp(tables: Whitened) -> Kernel:
    """`tables(view)`: (factors, offset, drop, bias)."""

    def lower(view: View) -> tuple[Call, ...]:
        factors, offset, drop, bias = tables(view)
        fields = {
            **_common(view, bias), "factors": _two_rows(factors, view.attrs["depth"]),
            "offset": _even(offset), "drop": _even(drop), "pairs": (view.attrs["depth"] + 1) // 2,
        }  # fmt: skip
        return (Call("armv7em/whitened_distance_dsp_s8.h", fields, (In(0), Out(0), Scratch())),)

    return Kernel("whitened_distance_dsp_s8", lower, frozenset({"dsp"}), scratch=_scratch)


def _even(rows: Array) -> Array:
    """[components, depth] with a zero behind an odd number: that row's factors are zero as well."""
    return np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))


def _two_rows(factors: Array, depth: int) -> Array:
    """The triangles' rows two by two, the pairs of both in turn."""
    found = []
    for one in factors.reshape(-1, triangle(depth)):
        for i in range(0, depth, 2):
            even = np.append(one[triangle(i) : triangle(i + 1)], np.int16(0))
            odd = one[triangle(i + 1) : triangle(i + 2)] if i + 1 < depth else np.zeros_like(even)
            found.append(np.stack([pairs(even), pairs(odd)], axis=1).reshape(-1))
    return np.concatenate(found)
