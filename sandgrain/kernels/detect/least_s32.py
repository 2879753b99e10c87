"""The least of each row's distances, over all rows."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import ANY_CORE, Fields, Fit, Kernel, Refused, lowered


def score_fields(view: View) -> Fields:
    """The members that both kernels have."""
    count, components = view.input(0).shape
    return {
        "rows": count,
        "components": components,
        "largest": int(view.attrs["reduce"] == "max"),
        "shift": view.attrs["shift"],
    }


def _lower(view: View) -> Fit:
    if view.attrs["fraction"]:
        return Refused("the distances are energies of a mixture")
    return lowered("least_s32", score_fields(view))


KERNEL = Kernel("least_s32", ("least",), _lower, "fraction 0", ANY_CORE)
