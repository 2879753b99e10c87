"""What the recurrent families share: a layer over the steps of a sequence, and logits from its last state."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sandgrain.train.models.base import Net, Shape, sequence


class Recurrent(Net):
    """`kind` is nn.GRU or nn.LSTM; every row of an image is a step."""

    def __init__(self, kind: Any, shape: Shape, classes: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.shape = sequence(shape)
        self.steps = kind(self.shape[1], width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.steps(x.reshape(len(x), *self.shape))[0][:, -1])
