"""Dense autoencoder for anomalies (MLPerf Tiny's has width 128 and a code of 8)."""

from __future__ import annotations

import itertools
import math

from torch import nn

from sandgrain.train.models.base import Family, Flat, Shape


def make(shape: Shape, classes: int, width: int, *, layers: int = 2, code: int = 8) -> nn.Module:
    """`layers` of `width` units down to `code` values, and as many back."""
    values = math.prod(shape)
    sizes = [values, *[width] * layers, code, *[width] * layers]
    body: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        body += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return Flat(nn.Sequential(*body, nn.Linear(sizes[-1], values)), shape)


FAMILY = Family("autoencoder", "dense autoencoder, for anomalies in features", 64, (1, 2, 3), make, reconstructs=True)
