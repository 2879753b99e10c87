"""Gated recurrent unit (Cho et al. 2014) over the steps of a sequence."""

from __future__ import annotations

from torch import nn

from sandgrain.train.models.base import Family, Shape
from sandgrain.train.models.recurrent import Recurrent


def make(shape: Shape, classes: int, width: int, *, layers: int = 1, dropout: float = 0.1) -> nn.Module:
    """`layers` layers of `width` units; the last state becomes the logits."""
    return Recurrent(nn.GRU, shape, classes, width, layers, dropout)


FAMILY = Family("gru", "gated recurrent unit, for keywords and motion", 32, (1, 2, 3), make)
