"""Transposed convolutions as ordinary ones: the outputs that are alike modulo the stride (a phase) meet the same taps.

Output position o meets tap k where o + padding - k is a multiple of the stride. So the phases of an axis are those of p = 0 ...
stride - 1, whose taps are p, p + stride ...; taken backwards they are a window that moves by one over the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch, i32
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.conv_dsp import DSP, conv_stream
from sandgrain.graph.ops.conv_portable import BLOCK, groups, in_order, interleave, rescaling_steps, scale_table, scratch_bytes
from sandgrain.graph.ops.steps import Steps

MAX_PHASES = 16  # that are worth tables of their own

Fields = dict[str, int | float | tuple[int, ...] | Array]


def phases(kernel: int, stride: int, padding: int) -> Array:
    """int32 [stride * 3]: for each phase of an axis how many taps, its first output position, and the input position of the
    first of its taps there.
    """
    found = []
    for p in range(stride):
        taps, first = max(-(-(kernel - p) // stride), 0), (p - padding) % stride
        found.append((taps, first, (first + padding - p) // stride - (taps - 1)))
    return i32(found).reshape(-1)


def phase_fields(view: View, kernel: Sequence[int]) -> Fields:
    """Sizes and phases of a layer whose weights are `kernel` (height, width) taps large."""
    x, out, stride, padding = view.input(0), view.out, view.attrs["stride"], view.attrs["padding"]
    return {
        "rows": phases(kernel[0], stride[0], padding[0]), "columns": phases(kernel[1], stride[1], padding[1]),
        "batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "in_c": x.shape[3],
        "out_h": out.shape[1], "out_w": out.shape[2], "out_c": out.shape[3], "stride_h": stride[0], "stride_w": stride[1],
    }  # fmt: skip


def _filled(view: View) -> tuple[int, int]:
    """Height and width of the kernel with a tap in each phase."""
    height, width = (max(n, s) for n, s in zip(view.input(1).shape[1:3], view.attrs["stride"], strict=True))
    return height, width


def _few(view: View) -> bool:
    return int(np.prod(view.attrs["stride"])) <= MAX_PHASES


def phase_views(view: View) -> list[View]:
    """For each phase, row by row, the layer with the phase's taps as its weights: those of a convolution of stride 1.

    A kernel smaller than the stride is filled up with zeros, so that each phase has a tap.
    """
    weights, stride = view.input(1), view.attrs["stride"]
    sides = [(0, more - n) for more, n in zip(_filled(view), weights.shape[1:3], strict=True)]
    data = np.pad(view.const(1), ((0, 0), *sides, (0, 0)))
    found = []
    for y, x in np.ndindex(*stride):
        taps = np.ascontiguousarray(data[:, y :: stride[0], x :: stride[1]][:, ::-1, ::-1])
        inputs = (view.inputs[0], replace(weights, shape=taps.shape, data=taps), *view.inputs[2:])
        found.append(replace(view, inputs=inputs))
    return found


# --- pairs of pixels --------------------------------------------------------------------------------------------------


def _steps(view: View) -> list[Steps] | None:
    found = [rescaling_steps(phase, phase.const(1)) for phase in phase_views(view)] if _few(view) else [None]
    whole = [steps for steps in found if steps is not None]
    return whole if len(whole) == len(found) else None


def _lower_pair(view: View) -> tuple[Call, ...]:
    channels, steps = view.out.shape[3], _steps(view)
    assert steps is not None
    cut, (low, high) = groups(channels, BLOCK), clamp_of(view)
    fields = phase_fields(view, _filled(view)) | {
        "weights": np.concatenate([interleave(in_order(phase.const(1)), cut) for phase in phase_views(view)]),
        "table": np.concatenate([scale_table(s, cut) for s in steps]),
        "away": np.array([s.away for s in steps], np.int8),
        "in_zero_point": view.input(0).zero_point, "low": low, "high": high,
    }  # fmt: skip
    return (Call("portable/transpose_conv_pair_s8.h", fields, (In(0), Out(0), Scratch())),)


TRANSPOSE_PAIR = Kernel(
    "transpose_conv_pair_s8",
    _lower_pair,
    accepts=lambda view: _steps(view) is not None,
    scratch=lambda view: max(scratch_bytes(phase.const(1)) for phase in phase_views(view)),
)


# --- cores with DSP ----------------------------------------------------------------------------------------------------


def _accepts_dsp(view: View) -> bool:
    return _few(view) and all(conv_stream(phase) is not None for phase in phase_views(view))


def _words(view: View) -> int:
    """Of the largest phase's window."""
    return max(-(-int(np.prod(phase.input(1).shape[1:])) // 4) for phase in phase_views(view))


def _scratch_dsp(view: View) -> int:
    """Two widened windows; two more as bytes where channels do not come in fours."""
    return (16 + (8 if view.input(0).shape[3] % 4 else 0)) * _words(view)


def _lower_dsp(view: View) -> tuple[Call, ...]:
    streams = [stream.reshape(-1) for phase in phase_views(view) if (stream := conv_stream(phase)) is not None]
    low, high = clamp_of(view)
    fields = phase_fields(view, _filled(view)) | {
        "stream": np.concatenate(streams), "blank": np.full(view.input(0).shape[3], view.input(0).zero_point, np.int8),
        "zero_point": view.out.zero_point, "exact": int(low < view.out.zero_point), "low": low, "high": high,
    }  # fmt: skip
    return (Call("armv7em/transpose_conv_dsp_s8.h", fields, (In(0), Out(0), Scratch())),)


TRANSPOSE_DSP = Kernel("transpose_conv_dsp", _lower_dsp, DSP, _accepts_dsp, _scratch_dsp)
