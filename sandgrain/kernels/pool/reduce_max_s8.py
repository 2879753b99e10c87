"""The largest element over any axes, on any core."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import OVER_INPUT, Kernel, Lowered, lowered
from sandgrain.kernels.pool.mean_s8 import loop_fields


def _lower(view: View) -> Lowered:
    return lowered("reduce_max_s8", loop_fields(view), sharing=OVER_INPUT)


KERNEL = Kernel("reduce_max_s8", ("reduce_max",), _lower)
