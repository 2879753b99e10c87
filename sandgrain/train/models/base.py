"""What the catalogue's families share: layouts, blocks, and the record by which a family is found.

Every model takes [n, *shape], `shape` as the features give it: (n,), (frames, bands), (samples, channels) or (height, width,
channels). It permutes inside; the converter folds that away. Models are made to be quantized: batch norm behind convolutions,
relu, global averages, and logits that go out as they are (the C takes the largest).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from sandgrain.base.errors import UsageError, printable

Shape = tuple[int, ...]
SMALL = 40  # images up to this side keep their size in the first layer of the deep families


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model. `make(shape, classes, width, **options)` builds one; its keyword-only arguments are the options.

    `ranks`: how many axes a feature shape may have. `reconstructs`: its output has the shape of its input, classes play no part.
    `tries`: axes of features -> widths that are worth a try there, where nobody chose, the first one first.
    """

    name: str
    summary: str
    width: int  # where none is asked for
    ranks: tuple[int, ...]
    make: Callable[..., nn.Module]
    reconstructs: bool = False
    tries: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


class Net(nn.Module):
    """A module that takes and gives Sandgrain's own layout."""

    channels_last = True


class Flat(Net):
    """`body` fed [n, values]; its output reshaped to [n, *out] where that is given."""

    def __init__(self, body: nn.Module, out: Shape = ()) -> None:
        super().__init__()
        self.body, self.out = body, out

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x.flatten(1))
        return y.reshape(len(x), *self.out) if self.out else y


class Sequence1D(Net):
    """`body` fed [n, channels, steps]."""

    def __init__(self, body: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.body, self.shape = body, sequence(shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.reshape(len(x), *self.shape).permute(0, 2, 1))


class Image(Net):
    """`body` fed [n, channels, height, width]; with `back` its output is put into the input's own shape again."""

    def __init__(self, body: nn.Module, shape: Shape, back: bool = False) -> None:
        super().__init__()
        self.body, self.shape, self.back = body, image(shape), back

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x.reshape(len(x), *self.shape).permute(0, 3, 1, 2))
        return y.permute(0, 2, 3, 1).reshape(x.shape) if self.back else y


def sequence(shape: Shape) -> Shape:
    """(steps, channels): every row of an image is a step, a single list has one channel."""
    return (shape[0], math.prod(shape[1:]))


def image(shape: Shape) -> Shape:
    """(height, width, channels): features over time are an image of one channel."""
    return (*shape, 1) if len(shape) == 2 else shape


def fours(channels: float) -> int:
    """The nearest multiple of 4 (what a 32-bit word of int8 holds), at least 4."""
    return max(4, 4 * round(channels / 4))


def halves(side: int, times: int) -> int:
    """`side` after convolutions of stride 2 that pad by half their kernel."""
    for _ in range(times):
        side = -(-side // 2)
    return side


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int] = 3, stride: Any = 1, *, relu: bool = True) -> nn.Sequential:
    """Convolution, batch norm and relu on images; padded by half the kernel."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    pad = (sides[0] // 2, sides[1] // 2)
    return _block(nn.Conv2d(inputs, outputs, sides, stride, pad, bias=False), nn.BatchNorm2d(outputs), relu)


def conv1d(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, relu: bool = True, norm: str = "batch"
) -> nn.Sequential:
    """The same over sequences. `norm`: see `normalized`."""
    batch = normalized(norm)
    layer = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch)
    if not batch:
        return nn.Sequential(layer, nn.ReLU()) if relu else nn.Sequential(layer)
    return _block(layer, nn.BatchNorm1d(outputs), relu)


def normalized(norm: str) -> bool:
    """Whether layers have a batch norm: "batch", or "none".

    It helps classes, and harms numbers: a batch's own mean and deviation are noise on what the next layer sees. On the gas sensors of
    air_quality (C6H6, mlp of 32) the mean error was 0.72 with it and 0.28 without. Raises UsageError for another word.
    """
    if norm not in ("batch", "none"):
        raise UsageError(f"norm = {printable(norm)}; choose batch or none")
    return norm == "batch"


def depthwise(channels: int, kernel: int = 3, stride: Any = 1) -> nn.Sequential:
    """A convolution of each channel by itself, batch norm and relu."""
    layer = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    return _block(layer, nn.BatchNorm2d(channels), True)


def separable(inputs: int, outputs: int, stride: Any = 1) -> nn.Sequential:
    """Depthwise 3x3, then pointwise (Howard et al. 2017, "MobileNets")."""
    return nn.Sequential(depthwise(inputs, 3, stride), conv(inputs, outputs, 1))


def _block(layer: nn.Module, norm: nn.Module, relu: bool) -> nn.Sequential:
    return nn.Sequential(layer, norm, nn.ReLU()) if relu else nn.Sequential(layer, norm)


def classify(channels: int, classes: int, dropout: float = 0.0, axes: int = 2) -> list[nn.Module]:
    """Global average and logits."""
    pool = nn.AdaptiveAvgPool2d(1) if axes == 2 else nn.AdaptiveAvgPool1d(1)
    return [pool, nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, classes)]


def shrink(sides: Sequence[int], least: int) -> int:
    """A stride of 2 where the smaller side stays at least `least`, else 1."""
    return 2 if -(-min(sides) // 2) >= least else 1
