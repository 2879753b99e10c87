"""Matrix products over a batch for the DSP extension: four columns at once, widened to 16 bits."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.dense.batch_matmul import multiplier_of
from sandgrain.kernels.base import DSP, DSP_CORES, TWO_INPUTS, Fit, Kernel, Refused, Scratch, lowered
from sandgrain.kernels.dense.batch_matmul_s8 import product_fields
from sandgrain.kernels.shared import scale_dsp


def _lower(view: View) -> Fit:
    if view.attrs["adj_x"]:
        return Refused("the first input is transposed; its rows must lie in memory one after another")
    multiplier, shift = multiplier_of(view)
    if not scale_dsp.fits(multiplier, shift):
        return Refused(scale_dsp.refusal(shift))
    doubled, code = (int(v) for v in scale_dsp.pairs(multiplier, shift))
    depth = view.input(0).shape[-1]
    fields = {**product_fields(view), "doubled": doubled, "code": code}
    return lowered("batch_matmul_dsp_s8", fields, (*TWO_INPUTS, Scratch()), 4 * 2 * (depth + -depth % 4))


KERNEL = Kernel(
    "batch_matmul_dsp_s8",
    ("batch_matmul",),
    _lower,
    "the first input not transposed, its products shifted right by at most 15",
    DSP_CORES,
    DSP,
)
