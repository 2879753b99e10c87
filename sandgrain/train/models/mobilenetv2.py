"""MobileNetV2 (Sandler et al. 2018). Width 32 is the paper's 1.0, width 11 about its 0.35; channels are multiples of 4."""

from __future__ import annotations

from torch import Tensor, nn

from sandgrain.train.models.base import SMALL, Family, Image, Net, Shape, classify, conv, depthwise, fours, image, shrink

# (expansion, channels at width 32, repeats, stride)
PLAN = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class Inverted(Net):
    """Widen, filter each channel, narrow without an activation; added to the input where that has the same shape."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        widen = [conv(inputs, hidden, 1)] if expansion > 1 else []
        self.body = nn.Sequential(*widen, depthwise(hidden, 3, stride), conv(hidden, outputs, 1, relu=False))
        self.add = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.add else self.body(x)


def make(shape: Shape, classes: int, width: int, *, stages: int = 7, last: int = 0, dropout: float = 0.0) -> nn.Module:
    """The first `stages` of the 7, then a pointwise layer of `last` channels (0: 40 * width, as in the paper)."""
    height, breadth, channels = image(shape)
    inputs = fours(width)
    stride = 1 if min(height, breadth) <= SMALL else 2
    body: list[nn.Module] = [conv(channels, inputs, 3, stride)]
    height, breadth = -(-height // stride), -(-breadth // stride)
    for expansion, full, repeats, wanted in PLAN[:stages]:
        for k in range(repeats):
            stride = shrink((height, breadth), 4) if wanted == 2 and k == 0 else 1
            height, breadth = -(-height // stride), -(-breadth // stride)
            outputs = fours(full * width / 32)
            body.append(Inverted(inputs, outputs, expansion, stride))
            inputs = outputs
    final = fours(last or 40 * width)
    return Image(nn.Sequential(*body, conv(inputs, final, 1), *classify(final, classes, dropout)), shape)


FAMILY = Family("mobilenetv2", "inverted residuals, for images", 8, (2, 3), make)
