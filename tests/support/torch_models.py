"""Networks that people bring from PyTorch, small enough for a test, with fixed weights whose batch norms have seen data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as fn

Build = Callable[[], Any]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
CONVS = (nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True, slots=True)
class Model:
    """`shape`: of one sample, as PyTorch has it. `images`: whether it has channels at axis 1 throughout."""

    build: Build
    shape: tuple[int, ...]
    images: bool

    def module(self) -> Any:
        """In eval mode, with weights that pass on what tells samples apart, and batch norms as after training; always the same."""
        torch.manual_seed(7)
        module = self.build().train()
        for layer in module.modules():
            if isinstance(layer, NORMS):
                layer.momentum = None  # statistics are means over all batches
            if isinstance(layer, CONVS):
                nn.init.kaiming_normal_(layer.weight)  # PyTorch's own halves the signal with every layer
        with torch.no_grad():
            for _ in range(10):
                module(self.drawn(32))
        return module.eval()

    def samples(self, count: int = 24) -> Any:
        """[count, *shape], the same on every call."""
        return self.drawn(count, torch.Generator().manual_seed(11))

    def drawn(self, count: int, generator: Any = None) -> Any:
        """Smooth signals, as sensors give them, and noise: averages of noise alone would be the same for all samples."""
        rough = torch.randn(count, *self.shape, generator=generator)
        return 0.5 * rough + rough.cumsum(-1) / self.shape[-1] ** 0.5


MODELS: dict[str, Model] = {}


def known(*shape: int, images: bool = True) -> Callable[[Build], Build]:
    """Put a network among MODELS, by its name."""

    def add(build: Build) -> Build:
        MODELS[build.__name__.lower()] = Model(build, shape, images)
        return build

    return add


def block(
    source: int, channels: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: Any = nn.ReLU, gain: float = 1.0
) -> list[Any]:
    """Convolution, batch norm to a deviation of `gain`, activation."""
    conv, norm = nn.Conv2d(source, channels, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(channels)
    nn.init.constant_(norm.weight, gain)
    if act is nn.ReLU6:
        nn.init.ones_(norm.bias)  # of deep networks, as after training: most of a layer lies above the bend
    return [conv, norm, *([act()] if act else [])]


class Residual(nn.Module):
    """inner(x) + side(x), then an activation."""

    def __init__(self, inner: Any, side: Any = None, act: Any = None) -> None:
        super().__init__()
        self.inner, self.side, self.act = inner, side or nn.Identity(), act or nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.act(self.inner(x) + self.side(x))


@known(1, 25, 10)
def ds_cnn() -> Any:
    """Keywords from MFCCs (Zhang et al. 2017)."""
    layers = [nn.Conv2d(1, 16, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    for _ in range(3):
        layers += [*block(16, 16, groups=16), *block(16, 16, 1)]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 12))


@known(3, 48, 48)
def mobilenet_v2_035() -> Any:
    """Width 0.35, all 17 blocks (Sandler et al. 2018); residuals add little, as after training."""

    def inverted(source: int, channels: int, stride: int, expand: int) -> Any:
        wide = source * expand
        inner = block(source, wide, 1, act=nn.ReLU6) if expand > 1 else []
        residual = stride == 1 and source == channels
        inner += block(wide, wide, 3, stride, wide, nn.ReLU6)
        inner += block(wide, channels, 1, act=None, gain=0.3 if residual else 1.0)
        return Residual(nn.Sequential(*inner)) if residual else nn.Sequential(*inner)

    blocks, source = [], 16
    for expand, channels, count, stride in MOBILENET_V2:
        for k in range(count):
            blocks.append(inverted(source, channels, 1 if k else stride, expand))
            source = channels
    tail = [*block(source, 1280, 1, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(1280, 10)]
    return nn.Sequential(*block(3, 16, 3, 2, act=nn.ReLU6), *blocks, *tail)


# Expansion, channels, blocks, the first one's stride.
MOBILENET_V2 = ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2), (6, 112, 1, 1))


@known(3, 32, 32)
def resnet_8() -> Any:
    """Three residual stages (He et al. 2015; the size of MLPerf Tiny), of half its width."""

    def stage(source: int, channels: int, stride: int) -> Any:
        inner = nn.Sequential(*block(source, channels, 3, stride), *block(channels, channels, act=None))
        side = nn.Conv2d(source, channels, 1, stride) if source != channels else None
        return Residual(inner, side, nn.ReLU(inplace=True))

    stages = [stage(8, 8, 1), stage(8, 16, 2), stage(16, 32, 2)]
    return nn.Sequential(*block(3, 8), *stages, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(32, 10), nn.Softmax(1))


@known(3, 32, 32)
class SqueezeNet(nn.Module):
    """Fire modules: a narrow layer, then two wide ones side by side (Iandola et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.squeeze = nn.ModuleList([nn.Conv2d(16, 4, 1), nn.Conv2d(16, 6, 1)])
        self.narrow = nn.ModuleList([nn.Conv2d(4, 8, 1), nn.Conv2d(6, 12, 1)])
        self.wide = nn.ModuleList([nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(6, 12, 3, padding=1)])
        self.classifier = nn.Conv2d(24, 10, 1)

    def forward(self, x: Any) -> Any:
        x = fn.max_pool2d(fn.relu(self.stem(x)), 3, 2, ceil_mode=True)
        for squeeze, narrow, wide in zip(self.squeeze, self.narrow, self.wide, strict=True):
            s = fn.relu(squeeze(x))
            x = torch.cat([fn.relu(narrow(s)), fn.relu(wide(s))], 1)
        return torch.flatten(fn.adaptive_avg_pool2d(fn.relu(self.classifier(x)), 1), 1)


@known(4, 16)
class Rates(nn.Module):
    """Numbers of events: a self-normalizing network (Klambauer et al. 2017) whose output is an exponential; other ELUs, and Mish."""

    def __init__(self) -> None:
        super().__init__()
        acts = (nn.SELU(), nn.Mish(), nn.CELU(0.5), nn.ELU(0.3))
        sizes = pairwise((4, 12, 12, 12, 12))
        layers = [layer for (a, b), act in zip(sizes, acts, strict=True) for layer in (nn.Conv1d(a, b, 3, padding=1), act)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(12 * 16, 3))

    def forward(self, x: Any) -> Any:
        return torch.exp(self.layers(x))


@known(9, 12, images=False)
class EinsumAttention(nn.Module):
    """Two heads of attention, every product an einsum, and what the channels have to do with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.ParameterList([nn.Parameter(torch.randn(12, 2, 6) / 12**0.5) for _ in range(3)])
        self.out = nn.Parameter(torch.randn(2, 6, 8) / 12**0.5)

    def forward(self, x: Any) -> Any:
        q, k, v = (torch.einsum("btc,chd->bthd", x, p) for p in self.project)
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / 6**0.5
        y = torch.einsum("bthd,hdo->bto", torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v), self.out)
        return torch.einsum("...tc,...td->...cd", y, y)


@known(3, 16, 16, images=False)  # the channels of a group are brought together
class Norms(nn.Module):
    """Statistics of the sample itself: group norms (Wu and He 2018), instance norms, and a group of all channels."""

    def __init__(self) -> None:
        super().__init__()
        norms = (nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True), nn.GroupNorm(1, 8))
        sizes = pairwise((3, 8, 8, 8))
        convs = [nn.Conv2d(a, b, 3, 2 if b != a else 1, 1) for a, b in sizes]
        self.layers = nn.Sequential(*(m for pair in zip(convs, norms, strict=True) for m in (*pair, nn.ReLU())))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        return self.head(self.layers(x).amax((2, 3)))


@known(6, 40)
class TCN(nn.Module):
    """Dilated causal convolutions with residuals (Bai et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [6, 12, 12, 16]
        self.convs = nn.ModuleList([nn.Conv1d(a, b, 3, dilation=2**k) for k, (a, b) in enumerate(pairwise(sizes))])
        self.norms = nn.ModuleList([nn.BatchNorm1d(n) for n in sizes[1:]])
        self.sides = nn.ModuleList([nn.Conv1d(6, 12, 1), nn.Identity(), nn.Conv1d(12, 16, 1)])
        self.head = nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        for k, (conv, norm, side) in enumerate(zip(self.convs, self.norms, self.sides, strict=True)):
            x = fn.relu(norm(conv(fn.pad(x, (2 * 2**k, 0)))) + side(x))
        return self.head(x[:, :, -1])


@known(64, images=False)
def autoencoder() -> Any:
    """Dense, for anomalies in machine sounds (the shape of MLPerf Tiny's)."""
    sizes, layers = [64, 32, 32, 8, 32, 32, 64], list[Any]()
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


@known(1, 16, 16)
def conv_autoencoder() -> Any:
    """Down by strides, up by transposed convolutions."""
    down = [nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU()]
    up = [nn.ConvTranspose2d(12, 8, 2, 2), nn.ReLU(), nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1), nn.Sigmoid()]
    return nn.Sequential(*down, *up)


@known(25, 10, images=False)
class GRUKeyword(nn.Module):
    """A GRU over feature frames; its last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(10, 24, batch_first=True)
        self.head = nn.Linear(24, 6)

    def forward(self, x: Any) -> Any:
        return self.head(self.gru(x)[0][:, -1])


@known(30, 6, images=False)
class LSTM(nn.Module):
    """A two-way LSTM over motion; the mean over time is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 12, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 5))

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0].mean(1))


@known(3, 24, 24)
class UNet(nn.Module):
    """Two levels, upsampled bilinearly and joined with what went down (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*block(3, 8), *block(8, 8))
        self.second = nn.Sequential(nn.MaxPool2d(2), *block(8, 16))
        self.bottom = nn.Sequential(nn.MaxPool2d(2), *block(16, 16), nn.Upsample(scale_factor=2, mode="bilinear"))
        self.up = nn.Sequential(*block(32, 8), nn.ConvTranspose2d(8, 8, 2, 2))
        self.mask = nn.Sequential(*block(16, 8), nn.Conv2d(8, 2, 1))

    def forward(self, x: Any) -> Any:
        first = self.first(x)
        second = self.second(first)
        up = self.up(torch.cat([self.bottom(second), second], 1))
        return self.mask(torch.cat([up, first], 1))


@known(3, 32, 32)
class Detector(nn.Module):
    """Boxes and classes of two feature maps (Liu et al. 2015), as one list each."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(*block(3, 8, 3, 2, act=nn.Hardswish), *block(8, 16, 3, 2, act=nn.Hardswish))
        self.coarse = nn.Sequential(*block(16, 16, 3, 2, act=nn.SiLU))
        self.boxes = nn.ModuleList([nn.Conv2d(16, 2 * 4, 3, padding=1) for _ in range(2)])
        self.classes = nn.ModuleList([nn.Conv2d(16, 2 * 3, 3, padding=1) for _ in range(2)])

    def forward(self, x: Any) -> Any:
        fine = self.fine(x)
        maps = (fine, self.coarse(fine))
        boxes = [f(m).permute(0, 2, 3, 1).reshape(m.shape[0], -1, 4) for f, m in zip(self.boxes, maps, strict=True)]
        classes = [f(m).permute(0, 2, 3, 1).reshape(m.shape[0], -1, 3) for f, m in zip(self.classes, maps, strict=True)]
        return torch.cat(boxes, 1), torch.sigmoid(torch.cat(classes, 1))


@known(16, 12, images=False)
class Transformer(nn.Module):
    """An encoder of two layers of width 64, four heads, GELU, a learned position."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(12, 64)
        self.position = nn.Parameter(torch.randn(1, 16, 64) * 0.2)
        layer = nn.TransformerEncoderLayer(64, 4, 128, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 6)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(self.embed(x) + self.position).mean(1))


@known(3, 64)
def cnn_1d() -> Any:
    """Gestures from an accelerometer."""
    layers = [nn.Conv1d(3, 8, 5, padding="same"), nn.BatchNorm1d(8), nn.LeakyReLU(0.1), nn.MaxPool1d(2)]
    layers += [nn.Conv1d(8, 16, 3), nn.ELU(), nn.AvgPool1d(3, 2, 1), nn.Conv1d(16, 16, 3, groups=16), nn.GELU()]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(16, 4))


@known(3, 24, 24)
def p_net() -> Any:
    """The first stage of a face detector, with a slope for each channel (Zhang et al. 2016)."""
    layers: list[Any] = []
    for a, b in ((3, 10), (10, 16), (16, 24)):
        layers += [nn.Conv2d(a, b, 3), nn.PReLU(b), *([nn.MaxPool2d(2, 2, ceil_mode=True)] if a == 3 else [])]
    return nn.Sequential(*layers, nn.Conv2d(24, 2, 1), nn.Softmax(1))


@known(40, 8, images=False)
class CRNN(nn.Module):
    """A convolution over time, then a GRU of two layers: channels first for one, last for the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 16, 5, 2, 2)
        self.gru = nn.GRU(16, 12, 2, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        y = fn.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.gru(y)[1][-1])
