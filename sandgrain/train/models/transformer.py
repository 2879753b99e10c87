"""Tiny transformer encoder (Vaswani et al. 2017), with batch norm or layer norm, relu or GELU.

Batch norm folds into the linear layer before it, so that such an encoder is made of matrix products, softmax and additions
alone. Layer norm stands before each half of a layer (Xiong et al. 2020) and once before the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Style:
    """`norm`: "batch" or "layer". `activation`: "relu" or "gelu"."""

    norm: str
    activation: str

    def before(self, width: int) -> nn.Module:
        """In front of attention, the dense half and the mean."""
        return nn.LayerNorm(width) if self.norm == "layer" else nn.Identity()

    def linear(self, inputs: int, outputs: int) -> list[nn.Module]:
        layer = nn.Linear(inputs, outputs)
        return [layer] if self.norm == "layer" else [layer, Norm(outputs)]

    def curve(self) -> nn.Module:
        return nn.GELU() if self.activation == "gelu" else nn.ReLU()


class Attention(Net):
    """Self-attention of `heads` heads."""

    def __init__(self, width: int, heads: int, style: Style) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Sequential(*style.linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.reshape(n, tokens, self.heads, width // self.heads).transpose(1, 2)

        mixed = fn.scaled_dot_product_attention(split(self.query(x)), split(self.key(x)), split(self.value(x)))
        return self.out(mixed.transpose(1, 2).reshape(n, tokens, width))


class Layer(Net):
    """Attention, then two linear layers on each token; both added to what they read."""

    def __init__(self, width: int, heads: int, dropout: float, style: Style) -> None:
        super().__init__()
        self.attention = nn.Sequential(style.before(width), Attention(width, heads, style))
        self.dense = nn.Sequential(
            style.before(width), *style.linear(width, 2 * width), style.curve(), *style.linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(x))
        return x + self.dropout(self.dense(x))


class Encoder(Net):
    """A convolution that makes tokens, learned positions, `layers` layers, the mean over the tokens, logits."""

    def __init__(
        self, shape: Shape, classes: int, width: int, layers: int, heads: int, patch: int, dropout: float, style: Style
    ) -> None:
        super().__init__()
        self.images = len(shape) == 3
        if self.images:
            self.stem = conv(shape[2], width, patch + 1, patch)
            tokens = -(-shape[0] // patch) * -(-shape[1] // patch)
        else:
            self.stem = conv1d(shape[1], width, 3, 2)
            tokens = halves(shape[0], 1)
        self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        self.layers = nn.Sequential(*[Layer(width, heads, dropout, style) for _ in range(layers)], style.before(width))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x.permute(0, 3, 1, 2) if self.images else x.permute(0, 2, 1)).flatten(2).transpose(1, 2)
        return self.head(self.layers(tokens + self.positions).mean(1))


def make(
    shape: Shape,
    classes: int,
    width: int,
    *,
    layers: int = 2,
    heads: int = 2,
    patch: int = 4,
    dropout: float = 0.1,
    norm: str = "batch",
    activation: str = "relu",
) -> nn.Module:
    """`width` features a token, a multiple of `heads`. A token is two frames, or a patch of `patch` x `patch` pixels.

    `norm`: "batch" or "layer". `activation`: "relu" or "gelu".
    """
    if norm not in ("batch", "layer") or activation not in ("relu", "gelu"):
        raise ValueError("norm is batch or layer, activation relu or gelu")
    if width % heads or patch % 2:
        width, patch = heads * max(1, round(width / heads)), patch + patch % 2
    return Encoder(shape, classes, width, layers, heads, patch, dropout, Style(norm, activation))


FAMILY = Family("transformer", "tiny transformer encoder, for sequences and small images", 32, (2, 3), make)
