"""1-D convolutions over time, for windows of motion and other sensors."""

from __future__ import annotations

from torch import nn

from sandgrain.train.models.base import Family, Sequence1D, Shape, classify, conv1d, sequence


def make(
    shape: Shape, classes: int, width: int, *, blocks: int = 3, kernel: int = 5, dropout: float = 0.1, norm: str = "batch"
) -> nn.Module:
    """`blocks` times convolution and max pool, twice the channels from the second on. `norm`: "batch", or "none", which suits outputs that
    are numbers."""
    steps, channels = sequence(shape)
    body: list[nn.Module] = []
    for k in range(blocks):
        outputs = width if k == 0 else 2 * width
        body.append(conv1d(channels, outputs, kernel, norm=norm))
        channels = outputs
        if steps >= 4:
            body.append(nn.MaxPool1d(2))
            steps //= 2
    return Sequence1D(nn.Sequential(*body, *classify(channels, classes, dropout, axes=1)), shape)


FAMILY = Family("cnn1d", "1-D convolutions over time, for motion and other sensors", 16, (1, 2), make, tries={2: (16, 32)})
