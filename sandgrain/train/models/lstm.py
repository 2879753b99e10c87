"""Long short-term memory (Hochreiter and Schmidhuber 1997) over the steps of a sequence."""

from __future__ import annotations

from torch import nn

from sandgrain.train.models.base import Family, Shape
from sandgrain.train.models.recurrent import Recurrent


def make(shape: Shape, classes: int, width: int, *, layers: int = 1, dropout: float = 0.1) -> nn.Module:
    """`layers` layers of `width` units; the last state becomes the logits."""
    return Recurrent(nn.LSTM, shape, classes, width, layers, dropout)


FAMILY = Family("lstm", "long short-term memory, for keywords and motion", 32, (1, 2, 3), make)
