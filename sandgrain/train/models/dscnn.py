"""DS-CNN for keywords (Zhang et al. 2017, "Hello Edge"); the MLPerf Tiny model is width 64 on (49, 10)."""

from __future__ import annotations

from torch import nn

from sandgrain.train.models.base import Family, Image, Shape, classify, conv, image, separable


def make(shape: Shape, classes: int, width: int, *, blocks: int = 4, dropout: float = 0.2) -> nn.Module:
    """A wide first convolution, then `blocks` separable ones of `width` channels."""
    height, width_in, channels = image(shape)
    stride = tuple(2 if side >= 10 else 1 for side in (height, width_in))
    first = conv(channels, width, (min(9, height | 1), min(5, width_in | 1)), stride)
    body = [separable(width, width) for _ in range(blocks)]
    return Image(nn.Sequential(first, *body, *classify(width, classes, dropout)), shape)


FAMILY = Family("dscnn", "depthwise separable convolutions, for keywords", 32, (2, 3), make, tries={2: (32, 64), 3: (32,)})
