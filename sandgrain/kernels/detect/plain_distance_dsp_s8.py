"""Squared distances of rows of features from centroids for the DSP extension: pairs of int16."""

from __future__ import annotations

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.detect.weighted_distance import tables_of
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, Fit, Kernel, Refused, lowered
from sandgrain.kernels.detect.distance_fields import pairs, row_scratch, size_fields

CENTROIDS = (-16511, 16384)  # 128 x - c fits int16 for these


def refused_centroids(centroids: Array) -> Refused | None:
    """Why differences from these centroids do not fit int16."""
    if ((centroids >= CENTROIDS[0]) & (centroids <= CENTROIDS[1])).all():
        return None
    return Refused(f"centroids from {centroids.min()} to {centroids.max()}; {CENTROIDS[0]} to {CENTROIDS[1]} work")


def _lower(view: View) -> Fit:
    centroids, factors, bias = tables_of(view)
    if factors is not None:
        return Refused("the distances are weighted")
    if refused := refused_centroids(centroids):
        return refused
    fields = {"bias": bias, **size_fields(view), "centroids": pairs(centroids, 4)}
    return lowered("plain_distance_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, row_scratch(view))


KERNEL = Kernel(
    "plain_distance_dsp_s8",
    ("weighted_distance",),
    _lower,
    f"distances without factors, centroids from {CENTROIDS[0]} to {CENTROIDS[1]}",
    DSP_CORES,
    DSP,
)
