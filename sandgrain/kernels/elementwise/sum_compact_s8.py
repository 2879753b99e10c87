"""Sums and differences with least code, for two inputs of one shape."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.elementwise.add_sub import Sum
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import DSP, LEAST_CODE, TWO_INPUTS, Fit, Kernel, Refused, lowered, op_of
from sandgrain.kernels.elementwise.broadcasting import over_unrepeated
from sandgrain.kernels.shared.compact_table import limits, scale


def _lower(view: View) -> Fit:
    x, y = view.input(0), view.input(1)
    if x.shape != y.shape:
        return Refused(f"shapes {list(x.shape)} and {list(y.shape)} differ")
    op = op_of(view, Sum)
    ratios = op.ratios(view)
    scales = [s for r in (ratios.a, ratios.b, ratios.out) if (s := scale(*quantize_multiplier(r))) is not None]
    if len(scales) < 3:
        return Refused("a rescaling shifts right by more than 29")
    (a, a_shift), (b, b_shift), (out, shift) = scales
    fields = {
        "size": view.out.size,
        "a_doubled": a,
        "b_doubled": b,
        "doubled": out,
        "a_shift": a_shift,
        "b_shift": b_shift,
        "shift": shift,
        "minus": int(op.sign < 0),
        "a_zero_point": x.zero_point,
        "b_zero_point": y.zero_point,
        "limits": limits(view),
    }
    return lowered("sum_compact_s8", fields, TWO_INPUTS, sharing=over_unrepeated(view))


KERNEL = Kernel("sum_compact_s8", ("add", "sub"), _lower, "equal shapes", LEAST_CODE, helped_by=DSP, compact=True)
