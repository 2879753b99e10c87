"""float32 to int8 on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Fit, Kernel, Refused, lowered


def _lower(view: View) -> Fit:
    if view.input(0).dtype != "float32":
        return Refused(f"the input is {view.input(0).dtype}, not float32")
    fields = {"scale": view.out.scale, "zero_point": view.out.zero_point, "count": view.out.size}
    return lowered("quantize_f32_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel("quantize_f32_s8", ("quantize",), _lower, "float32 input", ANY_CORE + 20)
