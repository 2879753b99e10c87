"""Transposed convolutions for cores without DSP: two pixels of a phase at once, one multiply per rescaling."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.kernels.base import ANY_CORE, ONE_INPUT_AND_SCRATCH, Fit, Kernel, Refused, lowered
from sandgrain.kernels.conv.conv_2d_pair_s8 import in_order, scratch_bytes
from sandgrain.kernels.conv.phases import filled, phase_fields, phase_views
from sandgrain.kernels.shared.threshold_table import groups, interleave, scale_table, steps_of
from sandgrain.kernels.shared.windows import BLOCK, by_unit


def _lower(view: View) -> Fit:
    views = phase_views(view)
    if isinstance(views, Refused):
        return views
    steps = []
    for phase in views:
        constants = steps_of(phase, by_unit(phase))
        if isinstance(constants, Refused):
            return constants
        steps.append(constants)
    cut, (low, high) = groups(view.out.shape[3], BLOCK), clamp_of(view)
    fields = phase_fields(view, filled(view)) | {
        "weights": np.concatenate([interleave(in_order(phase.const(1)), cut) for phase in views]),
        "table": np.concatenate([scale_table(s, cut) for s in steps]),
        "away": np.array([s.away for s in steps], np.int8),
        "in_zero_point": view.input(0).zero_point,
        "low": low,
        "high": high,
    }
    scratch = max(scratch_bytes(phase.const(1)) for phase in views)
    return lowered("transpose_conv_pair_s8", fields, ONE_INPUT_AND_SCRATCH, scratch)


KERNEL = Kernel(
    "transpose_conv_pair_s8",
    ("transpose_conv",),
    _lower,
    "up to 16 phases, and a rescaling that one multiply does exactly in every channel",
    ANY_CORE + 10,
)
