"""Multilayer perceptron."""

from __future__ import annotations

import math

from torch import nn

from sandgrain.train.models.base import Family, Flat, Shape, normalized


def make(shape: Shape, classes: int, width: int, *, layers: int = 2, dropout: float = 0.0, norm: str = "batch") -> nn.Module:
    """`layers` hidden layers of `width` units. `norm`: "batch", or "none", which suits outputs that are numbers."""
    batch = normalized(norm)
    body: list[nn.Module] = []
    inputs = math.prod(shape)
    for _ in range(layers):
        body += [nn.Linear(inputs, width, bias=not batch), *([nn.BatchNorm1d(width)] if batch else [])]
        body += [nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return Flat(nn.Sequential(*body, nn.Linear(inputs, classes)))


FAMILY = Family("mlp", "fully connected layers, for a few dozen features", 32, (1, 2, 3), make, tries={1: (32, 64)})
