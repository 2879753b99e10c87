"""Transposed convolutions as ordinary ones: the outputs that are alike modulo the stride (a phase) meet the same taps.

Output position o meets tap k where o + padding - k is a multiple of the stride. So the phases of an axis are those of p = 0 ...
stride - 1, whose taps are p, p + stride ...; taken backwards they are a window that moves by one over the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import i32
from sandgrain.kernels.base import Fields, Refused

MAX_PHASES = 16  # that are worth tables of their own


def phases(kernel: int, stride: int, padding: int) -> Array:
    """int32 [stride * 3]: for each phase of an axis how many taps, its first output position, and the input position of the
    first of its taps there.
    """
    entries = []
    for p in range(stride):
        taps, first = max(-(-(kernel - p) // stride), 0), (p - padding) % stride
        entries.append((taps, first, (first + padding - p) // stride - (taps - 1)))
    return i32(entries).reshape(-1)


def phase_fields(view: View, kernel: Sequence[int]) -> Fields:
    """Sizes and phases of a layer whose weights are `kernel` (height, width) taps large."""
    x, out, stride, padding = view.input(0), view.out, view.attrs["stride"], view.attrs["padding"]
    return {
        "rows": phases(kernel[0], stride[0], padding[0]),
        "columns": phases(kernel[1], stride[1], padding[1]),
        "batch": x.shape[0],
        "in_h": x.shape[1],
        "in_w": x.shape[2],
        "in_c": x.shape[3],
        "out_h": out.shape[1],
        "out_w": out.shape[2],
        "out_c": out.shape[3],
        "stride_h": stride[0],
        "stride_w": stride[1],
    }


def filled(view: View) -> tuple[int, int]:
    """Height and width of the kernel with a tap in each phase."""
    height, width = (max(n, s) for n, s in zip(view.input(1).shape[1:3], view.attrs["stride"], strict=True))
    return height, width


def phase_views(view: View) -> list[View] | Refused:
    """For each phase, row by row, the layer with the phase's taps as its weights: those of a convolution of stride 1.

    A kernel smaller than the stride is filled up with zeros, so that each phase has a tap. Refused if there are many phases.
    """
    weights, stride = view.input(1), view.attrs["stride"]
    if (count := int(np.prod(stride))) > MAX_PHASES:
        return Refused(f"a stride of {stride[0]}x{stride[1]} has {count} phases; the kernel has tables for {MAX_PHASES}")
    sides = [(0, more - n) for more, n in zip(filled(view), weights.shape[1:3], strict=True)]
    data = np.pad(view.const(1), ((0, 0), *sides, (0, 0)))
    views = []
    for y, x in np.ndindex(*stride):
        taps = np.ascontiguousarray(data[:, y :: stride[0], x :: stride[1]][:, ::-1, ::-1])
        inputs = (view.inputs[0], replace(weights, shape=taps.shape, data=taps), *view.inputs[2:])
        views.append(replace(view, inputs=inputs))
    return views
