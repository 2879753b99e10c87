"""ResNet-8 for small images (He et al. 2015; MLPerf Tiny's has width 16 on 32x32)."""

from __future__ import annotations

from torch import Tensor, nn

from sandgrain.train.models.base import Family, Image, Net, Shape, classify, conv, image, shrink


class Residual(Net):
    """Two 3x3 convolutions; a pointwise one on the other side where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(conv(inputs, outputs, 3, stride), conv(outputs, outputs, 3, relu=False))
        same = inputs == outputs and stride == 1
        self.side = nn.Identity() if same else conv(inputs, outputs, 1, stride, relu=False)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.main(x) + self.side(x))


def make(shape: Shape, classes: int, width: int, *, stages: int = 3, dropout: float = 0.0) -> nn.Module:
    """`stages` residual blocks, each with twice the channels of the one before and half the side."""
    height, breadth, channels = image(shape)
    body: list[nn.Module] = [conv(channels, width)]
    inputs = width
    for k in range(stages):
        stride = shrink((height, breadth), 4) if k else 1
        height, breadth = -(-height // stride), -(-breadth // stride)
        body.append(Residual(inputs, width << k, stride))
        inputs = width << k
    return Image(nn.Sequential(*body, *classify(inputs, classes, dropout)), shape)


FAMILY = Family("resnet8", "residual network for small images", 16, (2, 3), make, tries={3: (16, 8)})
