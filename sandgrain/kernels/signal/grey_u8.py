"""The luma of a colour image."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.grey import weights_of
from sandgrain.kernels.base import Kernel, Lowered, before, lowered


def _lower(view: View) -> Lowered:
    return lowered("grey_u8", {"pixels": view.out.size, "weight": weights_of(view)}, sharing=(before(0),))


KERNEL = Kernel("grey_u8", ("grey",), _lower)
