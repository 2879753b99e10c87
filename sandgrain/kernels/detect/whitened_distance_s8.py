"""Squared lengths of rows of features whitened by triangular factors."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.detect.whitened_distance import tables_of
from sandgrain.kernels.base import Kernel, Lowered, lowered
from sandgrain.kernels.detect.distance_fields import size_fields


def _lower(view: View) -> Lowered:
    factors, offset, drop, bias = tables_of(view)
    fields = {"factors": factors, "offset": offset, "drop": drop, "bias": bias, **size_fields(view)}
    return lowered("whitened_distance_s8", fields)


KERNEL = Kernel("whitened_distance_s8", ("whitened_distance",), _lower)
