"""Tiny transformer encoder (Vaswani et al. 2017), with batch norm where the paper has layer norm.

Batch norm folds into the linear layer before it, so an encoder is made of matrix products, softmax and additions alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from sandgrain.train.models.base import Family, Net, Shape, conv, conv1d, halves


class Norm(Net):
    """Batch norm of the features of [n, tokens, features]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class Attention(Net):
    """Self-attention of `heads` heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Sequential(nn.Linear(width, width), Norm(width))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.reshape(n, tokens, self.heads, width // self.heads).transpose(1, 2)

        mixed = fn.scaled_dot_product_attention(split(self.query(x)), split(self.key(x)), split(self.value(x)))
        return self.out(mixed.transpose(1, 2).reshape(n, tokens, width))


class Layer(Net):
    """Attention, then two linear layers on each token; both added to what they read."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), Norm(2 * width), nn.ReLU(), nn.Linear(2 * width, width), Norm(width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(x))
        return x + self.dropout(self.dense(x))


class Encoder(Net):
    """A convolution that makes tokens, learned positions, `layers` layers, the mean over the tokens, logits."""

    def __init__(self, shape: Shape, classes: int, width: int, layers: int, heads: int, patch: int, dropout: float) -> None:
        super().__init__()
        self.images = len(shape) == 3
        if self.images:
            self.stem = conv(shape[2], width, patch + 1, patch)
            tokens = -(-shape[0] // patch) * -(-shape[1] // patch)
        else:
            self.stem = conv1d(shape[1], width, 3, 2)
            tokens = halves(shape[0], 1)
        self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        self.layers = nn.Sequential(*[Layer(width, heads, dropout) for _ in range(layers)])
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x.permute(0, 3, 1, 2) if self.images else x.permute(0, 2, 1)).flatten(2).transpose(1, 2)
        return self.head(self.layers(tokens + self.positions).mean(1))


def make(
    shape: Shape, classes: int, width: int, *, layers: int = 2, heads: int = 2, patch: int = 4, dropout: float = 0.1
) -> nn.Module:
    """`width` features a token, a multiple of `heads`. A token is two frames, or a patch of `patch` x `patch` pixels."""
    if width % heads or patch % 2:
        width, patch = heads * max(1, round(width / heads)), patch + patch % 2
    return Encoder(shape, classes, width, layers, heads, patch, dropout)


FAMILY = Family("transformer", "tiny transformer encoder, for sequences and small images", 32, (2, 3), make)
