"""Squared lengths of whitened rows of features for the DSP extension: the triangles' rows two by two."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.detect.base import triangle
from sandgrain.graph.ops.detect.whitened_distance import tables_of
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, Kernel, Lowered, lowered
from sandgrain.kernels.detect.distance_fields import pairs, row_scratch, size_fields


def _even(rows: Array) -> Array:
    """[components, depth] with a zero behind an odd number: that row's factors are zero as well."""
    return np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))


def _two_rows(factors: Array, depth: int) -> Array:
    """The triangles' rows two by two, the pairs of both in turn."""
    parts = []
    for one in factors.reshape(-1, triangle(depth)):
        for i in range(0, depth, 2):
            even = np.append(one[triangle(i) : triangle(i + 1)], np.int16(0))
            odd = one[triangle(i + 1) : triangle(i + 2)] if i + 1 < depth else np.zeros_like(even)
            parts.append(np.stack([pairs(even), pairs(odd)], axis=1).reshape(-1))
    return np.concatenate(parts)


def _lower(view: View) -> Lowered:
    factors, offset, drop, bias = tables_of(view)
    depth = view.attrs["depth"]
    fields = {
        "bias": bias,
        **size_fields(view),
        "factors": _two_rows(factors, depth),
        "offset": _even(offset),
        "drop": _even(drop),
        "pairs": (depth + 1) // 2,
    }
    return lowered("whitened_distance_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, row_scratch(view))


KERNEL = Kernel("whitened_distance_dsp_s8", ("whitened_distance",), _lower, rank=DSP_CORES, needs=DSP)
