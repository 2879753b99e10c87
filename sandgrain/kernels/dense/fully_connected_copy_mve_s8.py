"""Fully connected layers for Helium with any number of inputs, which are copied to fill whole vectors."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import HELIUM, MVE, ONE_INPUT_AND_SCRATCH, Fit, Kernel, lowered
from sandgrain.kernels.dense.fully_connected_mve_s8 import dense_fields
from sandgrain.kernels.shared.mve_stream import LANES, refused_layer, vectors_of


def _lower(view: View) -> Fit:
    if refused := refused_layer(view):
        return refused
    fields = dense_fields(view) | {"depth": view.input(1).shape[1]}
    return lowered("fully_connected_copy_mve_s8", fields, ONE_INPUT_AND_SCRATCH, LANES * vectors_of(view))


KERNEL = Kernel("fully_connected_copy_mve_s8", ("fully_connected",), _lower, "no unit is shifted left", HELIUM + 10, MVE)
