"""Fully connected layers for Helium whose inputs fill whole vectors: eight units at once."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import HELIUM, MVE, Fields, Fit, Kernel, Refused, lowered
from sandgrain.kernels.shared.mve_stream import GROUP, LANES, layer_fields, refused_layer


def dense_fields(view: View) -> Fields:
    """The members that both kernels for Helium have."""
    units, depth = view.input(1).shape
    return layer_fields(view, GROUP) | {"batch": view.input(0).size // depth, "units": units}


def _lower(view: View) -> Fit:
    if view.input(1).shape[1] % LANES:
        return Refused(f"{view.input(1).shape[1]} inputs are no multiple of {LANES}")
    return refused_layer(view) or lowered("fully_connected_mve_s8", dense_fields(view))


KERNEL = Kernel(
    "fully_connected_mve_s8", ("fully_connected",), _lower, "inputs in sixteens; no unit is shifted left", HELIUM, MVE
)
