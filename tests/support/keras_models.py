"""Networks that people bring from Keras, small enough for a test, with fixed weights whose batch norms have seen data."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.arrays import Array

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported, by whoever needs these models
keras: Any = pytest.importorskip("keras", reason="needs Keras: pip install 'sandgrain[test]'")
kl: Any = keras.layers

Build = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Model:
    """`shape`: of one sample. `choices`: among how many words its positions choose; 0 for inputs of numbers."""

    build: Build
    shape: tuple[int, ...]
    choices: int
    transposes: bool  # whether attention moves its heads

    def model(self) -> Any:
        """With weights that pass on what tells samples apart, and batch norms as after training; the same on every call."""
        keras.utils.set_random_seed(7)
        model = settled(self.build())
        for layer in model._flatten_layers():
            if isinstance(layer, kl.BatchNormalization):
                layer.momentum = 0.0  # statistics are those of one batch
            elif isinstance(layer, kl.Conv1D | kl.Conv2D):
                layer.kernel.assign(keras.initializers.HeNormal(7)(layer.kernel.shape))
        model(self.drawn(64, 13), training=True)
        return model

    def samples(self, count: int = 24) -> Array:
        """[count, *shape], the same on every call."""
        return self.drawn(count, 11)

    def drawn(self, count: int, seed: int) -> Array:
        """Smooth signals, as sensors give them, and noise: averages of noise alone would be the same for all samples."""
        rng = np.random.default_rng(seed)
        if self.choices:
            return rng.integers(0, self.choices, (count, *self.shape)).astype(np.int32)
        rough = rng.standard_normal((count, *self.shape))
        return (0.5 * rough + rough.cumsum(axis=1) / self.shape[0] ** 0.5).astype(np.float32)


MODELS: dict[str, Model] = {}


def known(*shape: int, choices: int = 0, transposes: bool = False) -> Callable[[Build], Build]:
    """Put a network among MODELS, by its name."""

    def add(build: Build) -> Build:
        MODELS[build.__name__] = Model(build, shape, choices, transposes)
        return build

    return add


def settled(model: Any) -> Any:
    """`model` with weights that are not those of new layers: batch norms as if they had seen data, no bias of zero."""
    rng = np.random.default_rng(5)
    for v in model.weights:
        if v.name in ("moving_variance", "variance", "gamma"):
            v.assign(v * rng.uniform(0.5, 1.5, v.shape))
        elif v.name == "embeddings":
            v.assign(rng.normal(0, 1, v.shape))
        elif v.name == "beta":
            v.assign(v + rng.normal(0, 0.2, v.shape))
        elif v.name in ("moving_mean", "mean", "bias", "alpha"):
            v.assign(rng.normal(0, 0.2, v.shape))
    return model


def saved(model: Any, path: Path) -> Path:
    """`model` as a file."""
    with warnings.catch_warnings():  # of Keras, about how numpy takes tensors
        warnings.simplefilter("ignore", DeprecationWarning)
        model.save(path)
    return path


def computed(model: Any, *samples: Array) -> list[Array]:
    """What Keras computes: an array an output."""
    found = model(list(samples) if len(samples) > 1 else samples[0], training=False)
    return [f.detach().numpy() for f in (found if isinstance(found, list | tuple) else [found])]


def block(x: Any, channels: int, kernel: Any = 3, stride: Any = 1, act: Any = "relu") -> Any:
    """Convolution, batch norm, activation."""
    x = kl.Conv2D(channels, kernel, stride, "same", use_bias=False)(x)
    x = kl.BatchNormalization()(x)
    return kl.Activation(act)(x) if act else x


@known(25, 10, 1)
def ds_cnn() -> Any:
    """Keywords from MFCCs (Zhang et al. 2017)."""
    layers = [kl.Input((25, 10, 1)), kl.Conv2D(16, (10, 4), 2, "same", use_bias=False), kl.BatchNormalization(), kl.ReLU()]
    for _ in range(3):
        layers += [kl.DepthwiseConv2D(3, padding="same", use_bias=False), kl.BatchNormalization(), kl.ReLU()]
        layers += [kl.Conv2D(16, 1, use_bias=False), kl.BatchNormalization(), kl.ReLU()]
    return keras.Sequential([*layers, kl.Dropout(0.2), kl.GlobalAveragePooling2D(), kl.Dense(12, activation="softmax")])


@known(64, 64, 3)
def mobilenet_v2_035() -> Any:
    """Width 0.35, all 17 blocks (Sandler et al. 2018). As after training, most of a layer lies above the bend, and residuals add little."""

    def layer(x: Any, convolution: Any, act: bool = True, gain: float = 1.0) -> Any:
        norm = kl.BatchNormalization(
            beta_initializer="ones" if act else "zeros", gamma_initializer=keras.initializers.Constant(gain)
        )
        y = norm(convolution(x))
        return kl.ReLU(6.0)(y) if act else y

    def inverted(x: Any, channels: int, stride: int, expand: int) -> Any:
        source, y = x.shape[-1], x
        residual = stride == 1 and source == channels
        if expand > 1:
            y = layer(y, kl.Conv2D(source * expand, 1, use_bias=False))
        if stride == 2:
            y = kl.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = layer(y, kl.DepthwiseConv2D(3, stride, "same" if stride == 1 else "valid", use_bias=False))
        y = layer(y, kl.Conv2D(channels, 1, use_bias=False), act=False, gain=0.3 if residual else 1.0)
        return kl.Add()([x, y]) if residual else y

    image = keras.Input((64, 64, 3))
    x = layer(kl.Rescaling(1 / 2, offset=0.1)(image), kl.Conv2D(16, 3, 2, "same", use_bias=False))
    stages = ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2), (6, 112, 1, 1))
    for expand, channels, count, stride in stages:
        for k in range(count):
            x = inverted(x, channels, 1 if k else stride, expand)
    return keras.Model(image, kl.Dense(10)(kl.GlobalAveragePooling2D()(layer(x, kl.Conv2D(1280, 1, use_bias=False)))))


@known(32, 32, 3)
def resnet_8() -> Any:
    """Three residual stages (He et al. 2015; the size of MLPerf Tiny), of half its width; sums by `+`."""
    image = keras.Input((32, 32, 3))
    x = block(image, 8)
    for channels, stride in ((8, 1), (16, 2), (32, 2)):
        y = block(block(x, channels, 3, stride), channels, act=None)
        side = x if x.shape[-1] == channels else kl.Conv2D(channels, 1, stride, "same")(x)
        x = keras.activations.relu(side + y)
    x = kl.Flatten()(kl.AveragePooling2D(8)(x))
    return keras.Model(image, kl.Dense(10, activation="softmax")(x))


@known(32, 32, 3)
def squeezenet() -> Any:
    """Fire modules: a narrow layer, then two wide ones side by side (Iandola et al. 2016)."""
    image = keras.Input((32, 32, 3))
    x = kl.MaxPooling2D(3, 2, "same")(kl.Conv2D(16, 3, 2, activation="relu")(image))
    for narrow, wide in ((4, 8), (6, 12)):
        s = kl.Conv2D(narrow, 1, activation="relu")(x)
        x = kl.Concatenate()([kl.Conv2D(wide, 1, activation="relu")(s), kl.Conv2D(wide, 3, padding="same", activation="relu")(s)])
    return keras.Model(image, kl.GlobalAveragePooling2D()(kl.Conv2D(10, 1, activation="relu")(x)))


@known(40, 6)
def tcn() -> Any:
    """Dilated causal convolutions with residuals (Bai et al. 2018)."""
    signal = keras.Input((40, 6))
    x = signal
    for k, channels in enumerate((12, 12, 16)):
        y = kl.BatchNormalization()(kl.Conv1D(channels, 3, dilation_rate=2**k, padding="causal")(x))
        side = x if x.shape[-1] == channels else kl.Conv1D(channels, 1)(x)
        x = kl.ReLU()(kl.Add()([side, y]))
    return keras.Model(signal, kl.Dense(5)(x[:, -1]))


@known(64)
def autoencoder() -> Any:
    """Anomalies in spectra: dense layers with batch norms, models in a model."""
    encoder = keras.Sequential([kl.Input((64,)), kl.Dense(32), kl.BatchNormalization(), kl.ReLU(), kl.Dense(8)], name="encoder")
    decoder = keras.Sequential([kl.Input((8,)), kl.Dense(32, activation="relu"), kl.Dense(64)], name="decoder")
    spectrum = keras.Input((64,))
    return keras.Model(spectrum, decoder(encoder(kl.GaussianNoise(0.1)(spectrum))))


@known(16, 4)
def rates() -> Any:
    """Numbers of events: a self-normalizing network (Klambauer et al. 2017) whose output is an exponential; other ELUs, and Mish."""
    layers = [kl.Conv1D(12, 3, strides=2, padding="same", activation=name) for name in ("selu", "mish", "celu")]
    return keras.Sequential([kl.Input((16, 4)), *layers, kl.ELU(0.3), kl.Flatten(), kl.Dense(3, activation="exponential")])


@known(20, 10)
def gru_keywords() -> Any:
    """A recurrent net over MFCCs, both ways and then one."""
    return keras.Sequential(
        [
            kl.Input((20, 10)),
            kl.LayerNormalization(),
            kl.Bidirectional(kl.GRU(12, return_sequences=True)),
            kl.GRU(16),
            kl.Dense(8),
        ]
    )


@known(20, 10)
def gru_keywords_reset_first() -> Any:
    """As Keras 1 and 2.0 had GRUs: the reset gate before the product."""
    steps = kl.Bidirectional(kl.GRU(12, return_sequences=True, reset_after=False))
    return keras.Sequential([kl.Input((20, 10)), steps, kl.GRU(16, reset_after=False), kl.Dense(8)])


@known(24, 6)
def lstm_gestures() -> Any:
    """Motions from an accelerometer."""
    layers = [kl.Input((24, 6)), kl.Conv1D(12, 3, 2, "same", activation="relu"), kl.LSTM(16, return_sequences=True)]
    return keras.Sequential([*layers, kl.TimeDistributed(kl.Dense(8, activation="tanh")), kl.GlobalMaxPooling1D(), kl.Dense(4)])


@known(32, 32, 3)
def unet() -> Any:
    """Segmentation: down, and up again with what was seen on the way (Ronneberger et al. 2015)."""
    image = keras.Input((32, 32, 3))
    x, seen = image, []
    for channels in (8, 12):
        x = block(x, channels)
        seen.append(x)
        x = kl.MaxPooling2D()(x)
    x = block(x, 16)
    for k, channels in enumerate((12, 8)):
        x = kl.Conv2DTranspose(channels, 2, 2)(x) if k == 0 else kl.UpSampling2D()(x)
        x = block(kl.Concatenate()([x, seen.pop()]), channels)
    return keras.Model(image, kl.Conv2D(2, 1, activation="sigmoid")(x))


@known(32, 32, 3)
def detector() -> Any:
    """Boxes and classes at two scales, by shared heads (Liu et al. 2016)."""
    image = keras.Input((32, 32, 3))
    heads = {n: kl.SeparableConv2D(2 * n, 3, padding="same", name=f"head_{n}") for n in (4, 3)}
    near = block(block(image, 8, 3, 2, "hard_silu"), 16, 3, 2, "hard_silu")
    far = block(near, 16, 3, 2, "hard_silu")
    outputs = []
    for n, head in heads.items():
        maps = [kl.Reshape((-1, n))(head(x)) for x in (near, far)]
        outputs.append(kl.Concatenate(axis=1)(maps))
    return keras.Model(image, outputs)


@known(12, choices=40, transposes=True)
def transformer() -> Any:
    """An encoder of two layers over words (Vaswani et al. 2017)."""
    words = keras.Input((12,), dtype="int32")
    x = kl.Embedding(40, 32)(words)
    for _ in range(2):
        x = kl.LayerNormalization()(kl.Add()([x, kl.MultiHeadAttention(4, 8, dropout=0.1)(x, x)]))
        y = kl.Dense(32)(kl.Dense(48, activation="gelu")(x))
        x = kl.LayerNormalization()(x + kl.Dropout(0.1)(y))
    return keras.Model(words, kl.Dense(4)(kl.GlobalAveragePooling1D()(x)))


@known(128, 3)
def cnn_1d() -> Any:
    """Vibrations: an adapted normalization, then convolutions and pools."""
    layers = [kl.Input((128, 3)), kl.Normalization()]
    for channels in (8, 16, 16):
        layers += [kl.Conv1D(channels, 5, padding="same"), kl.PReLU(shared_axes=[1]), kl.MaxPooling1D(4)]
    return keras.Sequential([*layers, kl.Flatten(), kl.Dropout(0.5), kl.Dense(16, activation="relu"), kl.Dense(6)])


@known(30, 4)
def sequence_autoencoder() -> Any:
    """One vector for a whole sequence, and the sequence from it."""
    layers = [kl.Input((30, 4)), kl.LSTM(12), kl.RepeatVector(30), kl.LSTM(12, return_sequences=True)]
    return keras.Sequential([*layers, kl.TimeDistributed(kl.Dense(4))])
