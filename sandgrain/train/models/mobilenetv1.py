"""MobileNetV1 (Howard et al. 2017). Width 32 is the paper's 1.0, width 8 is MLPerf Tiny's 0.25."""

from __future__ import annotations

from torch import nn

from sandgrain.train.models.base import SMALL, Family, Image, Shape, classify, conv, image, separable, shrink

PLAN = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *((16, 1),) * 5, (32, 2), (32, 1))  # (channels / width, stride)


def make(shape: Shape, classes: int, width: int, *, blocks: int = 13, dropout: float = 0.0) -> nn.Module:
    """The first `blocks` of the 13. A stride of 2 that would leave a side below 4 is left out."""
    height, breadth, inputs = image(shape)
    body: list[nn.Module] = []
    for k, (times, wanted) in enumerate(((1, 1 if min(height, breadth) <= SMALL else 2), *PLAN[:blocks])):
        stride = shrink((height, breadth), 4) if wanted == 2 else 1
        height, breadth = -(-height // stride), -(-breadth // stride)
        body.append(conv(inputs, width, 3, stride) if k == 0 else separable(inputs, width * times, stride))
        inputs = width * times
    return Image(nn.Sequential(*body, *classify(inputs, classes, dropout)), shape)


FAMILY = Family("mobilenetv1", "depthwise separable convolutions, for images", 8, (2, 3), make)
