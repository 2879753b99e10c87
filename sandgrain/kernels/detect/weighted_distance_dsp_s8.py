"""Weighted squared distances of rows of features from centroids for the DSP extension: pairs of int16."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.detect.weighted_distance import tables_of
from sandgrain.kernels.base import DSP, DSP_CORES, ONE_INPUT_AND_SCRATCH, Fit, Kernel, Refused, lowered
from sandgrain.kernels.detect.distance_fields import pairs, row_scratch, size_fields
from sandgrain.kernels.detect.plain_distance_dsp_s8 import CENTROIDS, refused_centroids


def _lower(view: View) -> Fit:
    centroids, factors, bias = tables_of(view)
    if factors is None:
        return Refused("the distances have no factors")
    if refused := refused_centroids(centroids):
        return refused
    both = np.stack([pairs(centroids, 4), pairs(factors, 4)], axis=2)
    fields = {"bias": bias, **size_fields(view), "tables": both, "drop": view.attrs["drop"]}
    return lowered("weighted_distance_dsp_s8", fields, ONE_INPUT_AND_SCRATCH, row_scratch(view))


KERNEL = Kernel(
    "weighted_distance_dsp_s8",
    ("weighted_distance",),
    _lower,
    f"distances with factors, centroids from {CENTROIDS[0]} to {CENTROIDS[1]}",
    DSP_CORES + 10,
    DSP,
)
