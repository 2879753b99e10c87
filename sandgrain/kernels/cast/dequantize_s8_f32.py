"""int8 to float32 on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    x = view.input(0)
    return lowered("dequantize_s8_f32", {"scale": x.scale, "zero_point": x.zero_point, "count": x.size})


KERNEL = Kernel("dequantize_s8_f32", ("dequantize",), _lower)
