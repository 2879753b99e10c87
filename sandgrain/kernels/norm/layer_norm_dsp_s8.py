"""Layer normalization over the last axis for the DSP extension."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.norm.layer_norm import multiplier_of
from sandgrain.kernels.base import DSP, DSP_CORES, OVER_INPUT, Fit, Kernel, Refused, lowered
from sandgrain.kernels.norm.layer_norm_s8 import norm_fields
from sandgrain.kernels.shared.dsp_stream import MAX_RIGHT, MIN_RIGHT


def _lower(view: View) -> Fit:
    multiplier, shift = multiplier_of(view)
    if multiplier < 1 << 30 or not MIN_RIGHT <= -shift <= MAX_RIGHT:
        return Refused(f"outputs are shifted right by {-shift}; the kernel shifts by {MIN_RIGHT} to {MAX_RIGHT}")
    fields = {**norm_fields(view), "doubled": 2 * multiplier - 2**32, "power": 2 ** (32 + shift)}
    return lowered("layer_norm_dsp_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel(
    "layer_norm_dsp_s8",
    ("layer_norm",),
    _lower,
    f"outputs shifted right by {MIN_RIGHT} to {MAX_RIGHT}",
    DSP_CORES,
    DSP,
)
