"""RGB to BGR and back."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, before, lowered


def _lower(view: View) -> Fit:
    if view.attrs["convert"] != "swap":
        return Refused(f"the conversion is {view.attrs['convert']}, not swap")
    return lowered("reorder_u8", {"pixels": view.out.size // 3}, sharing=(before(0),))


KERNEL = Kernel("reorder_u8", ("channel_order",), _lower, "RGB to BGR or back", ANY_CORE)
