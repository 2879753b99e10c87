"""Weighted squared distances of rows of features from centroids."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.detect.weighted_distance import NARROW, reach, tables_of
from sandgrain.kernels.base import ANY_CORE, Fit, Kernel, Refused, lowered
from sandgrain.kernels.detect.distance_fields import size_fields


def _lower(view: View) -> Fit:
    centroids, factors, bias = tables_of(view)
    if factors is None:
        return Refused("the distances have no factors")
    drop = view.attrs["drop"]
    fields = {"centroids": centroids, "bias": bias, **size_fields(view)}
    fields |= {"factors": factors, "drop": drop, "narrow": int(reach(centroids, factors, drop) < NARROW)}
    return lowered("weighted_distance_s8", fields)


KERNEL = Kernel("weighted_distance_s8", ("weighted_distance",), _lower, "distances with factors", ANY_CORE + 10)
