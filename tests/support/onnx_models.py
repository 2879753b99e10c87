"""Networks that people bring as .onnx files, small enough for a test, written as exporters write them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from sandgrain.base.arrays import Array
from tests.support.onnx_builder import Net

Build = Callable[[Net], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Model:
    """`shape`: of the input as ONNX has it."""

    build: Build
    shape: tuple[int, ...]

    def model(self, **options: int) -> onnx.ModelProto:
        net = Net(*self.shape, seed=5, samples=self.samples(), **options)
        return net.model(*self.build(net))

    def samples(self, count: int = 16) -> Array:
        """float32 [count, *shape without the batch]: smooth signals, as sensors give them, and noise."""
        rng = np.random.default_rng(11)
        rough = rng.normal(size=(count, *self.shape[1:]))
        smooth = np.cumsum(rough, axis=-1) / math.sqrt(self.shape[-1])
        return (0.5 * rough + smooth).astype(np.float32)


MODELS: dict[str, Model] = {}


def known(*shape: int) -> Callable[[Build], Build]:
    """Put a network among MODELS, by its name."""

    def add(build: Build) -> Build:
        MODELS[build.__name__] = Model(build, shape)
        return build

    return add


@known(1, 1, 25, 10)
def ds_cnn(n: Net) -> tuple[str, ...]:
    """Keyword spotting (Zhang et al. 2017)."""
    y = n.conv_norm("x", 1, 16, (10, 4), strides=[2, 2], pads=[4, 1, 5, 2])
    for _ in range(4):
        y = n.conv_norm(n.conv_norm(y, 16, 16, group=16), 16, 16, 1)
    y = n.op("AveragePool", y, kernel_shape=[13, 5])
    return (n.op("Softmax", n.dense(n.op("Flatten", y), 16, 12), axis=-1),)


@known(1, 3, 48, 48)
def mobilenet_v2_035(n: Net) -> tuple[str, ...]:
    """Width 0.35, all 17 blocks (Sandler et al. 2018). A norm that centres a layer on the bend of its ReLU6 loses a third of what tells
    samples apart, and 35 in a row leave noise: here, as after training, most of a layer lies above the bend and residuals add little.
    """

    def layer(x: str, cin: int, cout: int, k: int = 1, **attrs: Any) -> str:
        return n.conv_norm(x, cin, cout, k, act="Relu6", shift=1.0, **attrs)

    y, cin = layer("x", 3, 16, 3, strides=[2, 2]), 16
    stages = ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2), (6, 112, 1, 1))
    for expand, cout, count, stride in stages:
        for k in range(count):
            step, before, wide = stride if k == 0 else 1, y, cin * expand
            residual = step == 1 and cin == cout
            y = layer(y, cin, wide) if expand > 1 else y
            y = layer(y, wide, wide, 3, group=wide, strides=[step, step])
            y = n.conv_norm(y, wide, cout, 1, act="", gain=0.3 if residual else 1.0)
            y, cin = n.op("Add", before, y) if residual else y, cout
    y = n.op("GlobalAveragePool", layer(y, cin, 1280))
    return (n.dense(flattened(n, y), 1280, 10),)


def flattened(n: Net, x: str) -> str:
    """[1, -1], as PyTorch's exporter writes `x.view(x.size(0), -1)`."""
    batch = n.op("Unsqueeze", n.op("Gather", n.op("Shape", x), n.constant(0, np.int64), axis=0), n.ints(0))
    found: str = n.op("Reshape", x, n.op("Concat", batch, n.ints(-1), axis=0))
    return found


@known(1, 3, 16, 16)
def resnet8(n: Net) -> tuple[str, ...]:
    """MLPerf Tiny's image classifier."""
    y, cin = n.conv_norm("x", 3, 8), 8
    for cout, stride in ((8, 1), (16, 2), (32, 2)):
        left = n.conv_norm(n.conv_norm(y, cin, cout, strides=[stride, stride]), cout, cout, act="")
        right = y if cin == cout else n.conv(y, cin, cout, 1, strides=[stride, stride])
        y, cin = n.op("Relu", n.op("Add", left, right)), cout
    y = n.op("ReduceMean", y, axes=[2, 3], keepdims=0)
    return (n.dense(y, cin, 10),)


@known(1, 3, 24, 24)
def squeezenet(n: Net) -> tuple[str, ...]:
    """Fire modules (Iandola et al. 2016)."""
    y = n.op("Relu", n.conv("x", 3, 16, strides=[2, 2], pads=[0] * 4))
    cin = 16
    for squeeze, wide in ((4, 8), (4, 8), (8, 16)):
        y = n.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1) if squeeze == 8 else y
        s = n.op("Relu", n.conv(y, cin, squeeze, 1))
        y = n.op("Concat", n.op("Relu", n.conv(s, squeeze, wide, 1)), n.op("Relu", n.conv(s, squeeze, wide)), axis=1)
        cin = 2 * wide
    y = n.op("Relu", n.conv(n.op("Dropout", y), cin, 10, 1))
    return (n.op("Softmax", n.op("Flatten", n.op("GlobalAveragePool", y)), axis=1),)


@known(1, 6, 64)
def tcn(n: Net) -> tuple[str, ...]:
    """Dilated causal convolutions with residuals (Bai et al. 2018)."""
    y, cin = "x", 6
    for dilation in (1, 2, 4, 8):
        pad = n.op("Pad", y, n.ints(0, 0, 2 * dilation, 0, 0, 0), n.constant(0))
        left = n.op("Relu", n.conv(pad, cin, 12, 3, rank=1, dilations=[dilation], pads=[0, 0]))
        right = y if cin == 12 else n.conv(y, cin, 12, 1, rank=1)
        y, cin = n.op("Relu", n.op("Add", left, right)), 12
    y = n.op("Gather", y, n.constant(-1, np.int64), axis=2)
    return (n.dense(y, 12, 5),)


@known(1, 64)
def autoencoder(n: Net) -> tuple[str, ...]:
    """MLPerf Tiny's anomaly detector, smaller."""
    y, cin = "x", 64
    for cout in (32, 32, 8, 32, 32):
        y, cin = n.op("Relu", n.norm(n.dense(y, cin, cout), cout)), cout
    return (n.dense(y, cin, 64),)


@known(1, 20, 10)
def gru_keywords(n: Net) -> tuple[str, ...]:
    """One GRU layer over frames, as PyTorch's exporter writes it."""
    x = n.op("Transpose", "x", perm=[1, 0, 2])
    units = 12
    weights = (n.constant(n.rng.normal(0, 0.4, s)) for s in ((1, 3 * units, 10), (1, 3 * units, units), (1, 6 * units)))
    whole, _ = n.op(
        "GRU", x, *weights, "", n.constant(np.zeros((1, 1, units))), outputs=2, hidden_size=units, linear_before_reset=1
    )
    y = n.op("Transpose", n.op("Squeeze", whole, n.ints(1)), perm=[1, 0, 2])
    y = n.op("Gather", y, n.constant(-1, np.int64), axis=1)
    return (n.dense(y, units, 6),)


@known(1, 20, 10)
def gru_keywords_default(n: Net) -> tuple[str, ...]:
    """Two GRU layers of ONNX's own default, which resets before its product: both ways, then one over all steps."""
    y, depth = n.op("Transpose", "x", perm=[1, 0, 2]), 10
    for units, ways, direction in ((8, 2, "bidirectional"), (12, 1, "forward")):
        shapes = ((ways, 3 * units, depth), (ways, 3 * units, units), (ways, 6 * units))
        weights = [n.constant(n.rng.normal(0, 0.4, s)) for s in shapes]
        whole, last = n.op("GRU", y, *weights, outputs=2, hidden_size=units, direction=direction)
        y, depth = n.op("Reshape", n.op("Transpose", whole, perm=[0, 2, 1, 3]), n.ints(20, 1, -1)), ways * units
    return (n.dense(n.op("Squeeze", last, n.ints(0)), depth, 6),)


@known(1, 16, 6)
def lstm_gestures(n: Net) -> tuple[str, ...]:
    """An LSTM in both directions and its last states."""
    x = n.op("Transpose", "x", perm=[1, 0, 2])
    units = 8
    weights = (n.constant(n.rng.normal(0, 0.4, s)) for s in ((2, 4 * units, 6), (2, 4 * units, units), (2, 8 * units)))
    _, last = n.op("LSTM", x, *weights, outputs=2, hidden_size=units, direction="bidirectional")
    y = n.op("Reshape", n.op("Transpose", last, perm=[1, 0, 2]), n.ints(1, -1))
    return (n.dense(y, 2 * units, 4),)


@known(1, 1, 16, 16)
def unet(n: Net) -> tuple[str, ...]:
    """Two levels, one up by a transposed convolution and one by interpolation."""
    a = n.conv_norm("x", 1, 8)
    b = n.conv_norm(n.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 8, 12)
    c = n.conv_norm(n.op("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]), 12, 16)
    up = n.op("ConvTranspose", c, n.weight(16, 12, 2, 2), n.small(12), kernel_shape=[2, 2], strides=[2, 2])
    y = n.conv_norm(n.op("Concat", b, up, axis=1), 24, 12)
    scales = n.constant([1, 1, 2, 2])
    up = n.op("Resize", y, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    y = n.conv_norm(n.op("Concat", a, up, axis=1), 20, 8)
    return (n.op("Sigmoid", n.conv(y, 8, 1, 1)),)


@known(1, 3, 32, 32)
def detector(n: Net) -> tuple[str, ...]:
    """Boxes and classes of two scales (SSD: Liu et al. 2016), a head of convolutions each."""
    y = n.conv_norm("x", 3, 8, strides=[2, 2])
    y = n.conv_norm(y, 8, 16, strides=[2, 2])
    levels = [n.conv_norm(y, 16, 16, strides=[2, 2])]
    levels.append(n.conv_norm(levels[0], 16, 24, strides=[2, 2]))
    ends: list[str] = []
    for each in (4, 3):
        parts = []
        for level, channels in zip(levels, (16, 24), strict=True):
            y = n.op("Transpose", n.conv(level, channels, 2 * each), perm=[0, 2, 3, 1])
            parts.append(n.op("Reshape", y, n.ints(1, -1, each)))
        ends.append(n.op("Concat", *parts, axis=1))
    return ends[0], n.op("Sigmoid", ends[1])


@known(1, 12, 8)
def transformer(n: Net) -> tuple[str, ...]:
    """One encoder layer of two heads; layer norm and GELU in the parts that exporters give them."""
    width, heads = 16, 2
    y = n.op("Add", n.linear("x", 8, width), n.constant(n.rng.normal(0, 0.5, (1, 12, width))))
    normal = layer_norm(n, y, width)
    parts = []
    for k in range(3):
        part = n.op("Reshape", n.linear(normal, width, width), n.ints(1, 12, heads, width // heads))
        parts.append(n.op("Transpose", part, perm=[0, 2, 3, 1] if k == 1 else [0, 2, 1, 3]))
    scores = n.op("Div", n.op("MatMul", parts[0], parts[1]), n.constant(math.sqrt(width / heads)))
    mixed = n.op("Transpose", n.op("MatMul", n.op("Softmax", scores, axis=-1), parts[2]), perm=[0, 2, 1, 3])
    y = n.op("Add", y, n.linear(n.op("Reshape", mixed, n.ints(1, 12, width)), width, width))
    inner = gelu(n, n.linear(layer_norm(n, y, width), width, 2 * width))
    y = n.op("Add", y, n.linear(inner, 2 * width, width))
    return (n.dense(n.op("ReduceMean", layer_norm(n, y, width), axes=[1], keepdims=0), width, 4),)


@known(1, 9, 12)
def einsum_attention(n: Net) -> tuple[str, ...]:
    """Two heads of attention, every product an einsum."""
    parts = [n.op("Einsum", "x", n.constant(n.rng.normal(0, 0.3, (12, 2, 6))), equation="btc,chd->bthd") for _ in range(3)]
    scores = n.op("Mul", n.op("Einsum", *parts[:2], equation="bihd,bjhd->bhij"), n.constant(6**-0.5))
    mixed = n.op("Einsum", n.op("Softmax", scores, axis=-1), parts[2], equation="bhij,bjhd->bihd")
    return (n.op("Einsum", mixed, n.constant(n.rng.normal(0, 0.3, (2, 6, 8))), equation="bthd,hdo->bto"),)


def layer_norm(n: Net, x: str, width: int) -> str:
    centred = n.op("Sub", x, n.op("ReduceMean", x, axes=[-1]))
    variance = n.op("ReduceMean", n.op("Pow", centred, n.constant(2)), axes=[-1])
    y = n.op("Div", centred, n.op("Sqrt", n.op("Add", variance, n.constant(1e-5))))
    found: str = n.op("Add", n.op("Mul", y, n.constant(n.rng.uniform(0.5, 1.5, width))), n.small(width))
    return found


def gelu(n: Net, x: str) -> str:
    y = n.op("Add", n.op("Erf", n.op("Div", x, n.constant(math.sqrt(2)))), n.constant(1))
    found: str = n.op("Mul", n.op("Mul", x, y), n.constant(0.5))
    return found


@known(1, 3, 64)
def cnn1d(n: Net) -> tuple[str, ...]:
    """Activity recognition from an accelerometer."""
    y = n.conv_norm("x", 3, 8, 5, rank=1)
    y = n.op("MaxPool", y, kernel_shape=[2], strides=[2])
    y = n.conv_norm(y, 8, 16, 5, rank=1, strides=[2])
    y = n.op("MaxPool", y, kernel_shape=[2], strides=[2])
    y = n.op("Relu", n.dense(n.op("Flatten", y), 128, 16))
    return (n.op("Softmax", n.dense(y, 16, 6), axis=-1),)


@known(1, 3, 16, 16)
def mobilenet_v3(n: Net) -> tuple[str, ...]:
    """Squeeze and excitation, hard swish (Howard et al. 2019)."""
    y = n.op("HardSwish", n.conv_norm("x", 3, 8, act="", strides=[2, 2]))
    for _ in range(2):
        wide = n.op("HardSwish", n.conv_norm(y, 8, 24, 1, act=""))
        wide = n.op("HardSwish", n.conv_norm(wide, 24, 24, 5, act="", group=24))
        gate = n.op("Relu", n.conv(n.op("GlobalAveragePool", wide), 24, 8, 1))
        gate = n.op("HardSigmoid", n.conv(gate, 8, 24, 1), alpha=1 / 6)
        y = n.op("Add", y, n.conv_norm(n.op("Mul", wide, gate), 24, 8, 1, act=""))
    return (n.dense(flattened(n, n.op("GlobalAveragePool", y)), 8, 10),)


@known(1, 3, 16, 16)
def efficientnet(n: Net) -> tuple[str, ...]:
    """SiLU as a product with a sigmoid (Tan and Le 2019)."""

    def silu(x: str) -> str:
        found: str = n.op("Mul", x, n.op("Sigmoid", x))
        return found

    y = silu(n.conv_norm("x", 3, 8, act="", strides=[2, 2]))
    wide = silu(n.conv_norm(silu(n.conv_norm(y, 8, 32, 1, act="")), 32, 32, act="", group=32))
    gate = n.op("Sigmoid", n.conv(silu(n.conv(n.op("GlobalAveragePool", wide), 32, 4, 1)), 4, 32, 1))
    y = n.op("Add", y, n.conv_norm(n.op("Mul", gate, wide), 32, 8, 1, act=""))
    return (n.dense(n.op("Flatten", n.op("GlobalAveragePool", y)), 8, 10),)


@known(1, 3, 16, 16)
def shufflenet(n: Net) -> tuple[str, ...]:
    """Split, shuffle (Ma et al. 2018): no transpose is left."""
    y = n.conv_norm("x", 3, 16, strides=[2, 2])
    for _ in range(2):
        left, right = n.op("Split", y, n.ints(8, 8), axis=1, outputs=2)
        right = n.conv_norm(n.conv_norm(n.conv_norm(right, 8, 8, 1), 8, 8, group=8, act=""), 8, 8, 1)
        y = n.op("Reshape", n.op("Concat", left, right, axis=1), n.ints(1, 2, 8, 8, 8))
        y = n.op("Reshape", n.op("Transpose", y, perm=[0, 2, 1, 3, 4]), n.ints(1, 16, 8, 8))
    return (n.dense(n.op("Flatten", n.op("GlobalMaxPool", y)), 16, 10),)


@known(1, 4, 16)
def rates(n: Net) -> tuple[str, ...]:
    """Numbers of events: a self-normalizing network (Klambauer et al. 2017) whose output is an exponential; other ELUs, and Mish."""
    y = n.op("Selu", n.conv("x", 4, 12, rank=1))
    y = n.conv(y, 12, 12, rank=1, strides=[2])
    y = n.op("Mul", y, n.op("Tanh", n.op("Softplus", y)))
    y = n.op("Celu", n.conv(y, 12, 12, rank=1), alpha=0.5)
    y = n.op("Elu", n.conv(y, 12, 12, rank=1), alpha=0.3)
    return (n.op("Exp", n.dense(n.op("Flatten", n.op("GlobalAveragePool", y)), 12, 3)),)


@known(1, 1, 12, 12)
def super_resolution(n: Net) -> tuple[str, ...]:
    """Twice the pixels from four channels (Shi et al. 2016)."""
    y = n.op("PRelu", n.conv("x", 1, 12, 5), n.constant(n.rng.uniform(0.1, 0.4, (12, 1, 1))))
    y = n.op("PRelu", n.conv(y, 12, 8), n.constant(n.rng.uniform(0.1, 0.4, (8, 1, 1))))
    return (n.op("DepthToSpace", n.conv(y, 8, 4), blocksize=2, mode="CRD"),)


@known(1, 1, 16, 16)
def conv_autoencoder(n: Net) -> tuple[str, ...]:
    """Down by strides, up by transposed convolutions with an output padding."""
    y = n.op("LeakyRelu", n.conv("x", 1, 6, strides=[2, 2]), alpha=0.1)
    y = n.op("LeakyRelu", n.conv(y, 6, 10, strides=[2, 2]), alpha=0.1)
    for cin, cout in ((10, 6), (6, 1)):
        y = n.op(
            "ConvTranspose", y, n.weight(cin, cout, 3, 3), n.small(cout), strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]
        )
        y = n.op("Elu", y) if cout > 1 else y
    return (y,)
