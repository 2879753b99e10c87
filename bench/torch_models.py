"""PyTorch networks of the sizes that boards run, with seeded weights and samples: what bench/torch_peers.py compares on.

All are of operators that BakeNN's PyTorch front end knows. Nothing is trained: what an inference costs does not depend on the
weights' values, and batch norms have seen samples, so that activations have the ranges of a network that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

SEED = 7


@dataclass(frozen=True, slots=True)
class Model:
    """`module`: in eval mode. `shape`: of one sample. `calibration`, `held_out`: float32 [n, *shape]."""

    module: Any
    shape: tuple[int, ...]
    calibration: Any
    held_out: Any


def conv(
    source: int, channels: int, kernel: int | tuple[int, int] = 3, *, stride: int = 1, groups: int = 1, act: bool = True
) -> Any:
    """Convolution, batch norm, ReLU."""
    padding = kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)
    layers = [nn.Conv2d(source, channels, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


class Residual(nn.Module):
    """ReLU(two convolutions + the input, or a pointwise convolution of it)."""

    def __init__(self, source: int, channels: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(conv(source, channels, stride=stride), conv(channels, channels, act=False))
        self.side = nn.Conv2d(source, channels, 1, stride) if source != channels else nn.Identity()

    def forward(self, x: Any) -> Any:
        return torch.relu(self.inner(x) + self.side(x))


def ds_cnn() -> tuple[Any, tuple[int, ...]]:
    """Keywords from 49 frames of 10 MFCCs (Zhang et al. 2017), four separable blocks of 64 channels."""
    blocks = [nn.Sequential(conv(64, 64, groups=64), conv(64, 64, 1)) for _ in range(4)]
    return nn.Sequential(conv(1, 64, (10, 4), stride=2), *blocks, nn.AvgPool2d((25, 5)), nn.Flatten(), nn.Linear(64, 12)), (
        1,
        49,
        10,
    )


def autoencoder() -> tuple[Any, tuple[int, ...]]:
    """Machine sounds, dense, of the shape of MLPerf Tiny's."""
    sizes = (640, 128, 128, 8, 128, 128)
    layers = [nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()) for a, b in pairwise(sizes)]
    return nn.Sequential(*layers, nn.Linear(128, 640)), (640,)


def resnet_8() -> tuple[Any, tuple[int, ...]]:
    """Three residual stages on pictures of 32 x 32 (He et al. 2015), of half the width of MLPerf Tiny's: BakeNN calibrates that one at half a minute a sample."""
    stages = [Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 32, 2)]
    return nn.Sequential(conv(3, 8), *stages, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(32, 10)), (3, 32, 32)


def cnn_1d() -> tuple[Any, tuple[int, ...]]:
    """Motion: two seconds of six axes at 64 Hz."""
    layers: list[Any] = []
    for source, channels in ((6, 16), (16, 32), (32, 32)):
        layers += [nn.Conv1d(source, channels, 5, padding=2), nn.BatchNorm1d(channels), nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 16, 6)), (6, 128)


BUILDERS = {builder.__name__: builder for builder in (ds_cnn, autoencoder, resnet_8, cnn_1d)}


def load(name: str, calibration: int, held_out: int) -> Model:
    """The model of that name with its samples; the same on every call."""
    torch.manual_seed(SEED)
    module, shape = BUILDERS[name]()
    samples = torch.Generator().manual_seed(SEED + 1)
    with torch.no_grad():
        module.train()
        for _ in range(10):
            module(torch.randn(16, *shape, generator=samples))
    return Model(module.eval(), shape, *(torch.randn(n, *shape, generator=samples) for n in (calibration, held_out)))
