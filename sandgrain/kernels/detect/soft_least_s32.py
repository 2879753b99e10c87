"""The negative log-likelihood of a mixture from each row's energies, over all rows."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.detect.least import G_TABLE
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, lowered
from sandgrain.kernels.detect.least_s32 import score_fields


def _lower(view: View) -> Fit:
    if not view.attrs["fraction"]:
        return Refused("the distances are no energies of a mixture")
    fields = score_fields(view) | {"table": G_TABLE, "fraction": view.attrs["fraction"]}
    return lowered("soft_least_s32", fields)


KERNEL = Kernel("soft_least_s32", ("least",), _lower, "fraction above 0", ANY_CORE + 10)
