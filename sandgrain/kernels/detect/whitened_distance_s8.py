"""Squared lengths of rows of features whitened by triangular factors."""

from __future__ import annotations

from sandgrain.ir import View
from sandgrain.kernels.base import Kernel, Lowered, lowered
from sandgrain.kernels.detect.distance_fields import size_fields
from sandgrain.ops.detect.whitened_distance import tables_of


def _lower(view: View) -> Lowered:
    factors, offset, drop, bias = tables_of(view)
    fields = {"factors": factors, "offset": offset, "drop": drop, "bias": bias, **size_fields(view)}
    return lowered("whitened_distance_s8", fields)


KERNEL = Kernel("whitened_distance_s8", ("whitened_distance",), _lower)
