"""Squared distances of rows of features from centroids."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.detect.weighted_distance import tables_of
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, lowered
from sandgrain.kernels.detect.distance_fields import size_fields


def _lower(view: View) -> Fit:
    centroids, factors, bias = tables_of(view)
    if factors is not None:
        return Refused("the distances are weighted")
    return lowered("plain_distance_s8", {"centroids": centroids, "bias": bias, **size_fields(view)})


KERNEL = Kernel("plain_distance_s8", ("weighted_distance",), _lower, "distances without factors", ANY_CORE)
