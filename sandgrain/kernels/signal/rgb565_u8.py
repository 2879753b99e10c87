"""A camera's RGB565 to RGB."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Fit, Kernel, Refused, lowered


def _lower(view: View) -> Fit:
    if view.attrs["convert"] == "swap":
        return Refused("the conversion is swap, not RGB565 to RGB")
    fields = {"pixels": view.out.size // 3, "high": int(view.attrs["convert"] == "rgb565_be")}
    return lowered("rgb565_u8", fields, sharing=OVER_INPUT)


KERNEL = Kernel("rgb565_u8", ("channel_order",), _lower, "RGB565 to RGB", ANY_CORE + 10)
