"""TC-ResNet for keywords (Choi et al. 2019): convolutions over time, the bands are channels."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from sandgrain.train.models.base import Family, Net, Sequence1D, Shape, classify, conv1d, fours, sequence


class Residual(Net):
    """Two convolutions of 9 steps beside a pointwise one, stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.main = nn.Sequential(conv1d(inputs, outputs, kernel, 2), conv1d(outputs, outputs, kernel, relu=False))
        self.side = conv1d(inputs, outputs, 1, 2)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.main(x) + self.side(x))


def make(shape: Shape, classes: int, width: int, *, blocks: int = 3, kernel: int = 9, dropout: float = 0.2) -> nn.Module:
    """TC-ResNet8 with 3 blocks; the paper's has width 16."""
    sizes = [fours(width * f) for f in (1, 1.5, 2, 3, 4, 6)][: blocks + 1]
    body = [Residual(a, b, kernel) for a, b in itertools.pairwise(sizes)]
    first = conv1d(sequence(shape)[1], sizes[0])
    return Sequence1D(nn.Sequential(first, *body, *classify(sizes[-1], classes, dropout, axes=1)), shape)


FAMILY = Family("tcresnet", "residual convolutions over time, for keywords at the least cost", 16, (1, 2), make, tries={2: (16,)})
