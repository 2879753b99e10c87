"""Convolutional autoencoder for anomalies: strides on the way in, nearest-neighbour resizes on the way out."""

from __future__ import annotations

from torch import nn

from sandgrain.train.models.base import Family, Image, Shape, conv, image


def make(shape: Shape, classes: int, width: int, *, stages: int = 3) -> nn.Module:
    """`stages` halvings, twice the channels at each; the way back mirrors them."""
    height, breadth, channels = image(shape)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    inputs = channels
    for k in range(stages):
        outputs = width << k
        down.append(conv(inputs, outputs, 3, 2))
        back = conv(outputs, inputs) if k else nn.Conv2d(outputs, channels, 3, padding=1)
        up = [nn.Upsample((height, breadth)), back, *up]
        height, breadth, inputs = -(-height // 2), -(-breadth // 2), outputs
    return Image(nn.Sequential(*down, *up), shape, back=True)


FAMILY = Family("conv_autoencoder", "convolutional autoencoder, for anomalies in images and spectrograms", 8, (2, 3), make, True)
