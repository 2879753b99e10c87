"""Hostile .keras files; python -m tests.support.hostile_keras FOLDER FIRST COUNT tries mutants. Keras is not imported there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support import hostile_archives

WORDS = (
    "Lambda", "Functional", "Sequential", "InputLayer", "Dense", "Conv2D", "Reshape", "RepeatVector", "UpSampling2D", "Embedding",
    "Bidirectional", "TimeDistributed", "GRU", "MultiHeadAttention", "PReLU", "Softmax", "GetItem", "__keras_tensor__", "__slice__",
    "__numpy__", "__lambda__", "keras.src.ops.numpy", "keras.layers", "os", "same", "channels_first", "relu", "hard_silu", "function",
    "Add", "Concatenate", "Normalization", "Permute", "Cropping2D", "ZeroPadding2D", "Mean", "Transpose",
)  # fmt: skip


def mutant(bases: Sequence[bytes], seed: int) -> bytes:
    return hostile_archives.mutant(bases, seed, "config.json", WORDS)


def made(folder: Path) -> tuple[bytes, ...]:
    """Valid files to start from: a functional model with many layers, a sequential one, models in a model. This needs Keras."""
    from tests.support.keras_models import keras, kl, saved, settled

    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))
    x = kl.ReLU(6.0)(kl.BatchNormalization()(kl.Conv2D(4, 3, 2, "same")(image)))
    y = kl.Cropping2D(1)(kl.UpSampling2D()(kl.SeparableConv2D(4, 3)(kl.ZeroPadding2D(1)(x))))
    y = kl.PReLU(shared_axes=[1, 2])(kl.AveragePooling2D(3, 2, "same")(y)) * 2.0
    x = kl.Reshape((-1, 4))(kl.Permute((2, 1, 3))(kl.Concatenate(1)([x, kl.Conv2DTranspose(4, 2)(y)[:, :4, :4]])))
    x = kl.LayerNormalization()(x + kl.MultiHeadAttention(2, 3)(x, x))
    mixed = keras.Model(
        image, kl.Dense(2, activation="softmax")(keras.ops.mean(kl.Bidirectional(kl.GRU(3, return_sequences=True))(x), axis=1))
    )
    words = keras.Sequential([kl.Input((6,), dtype="int32"), kl.Embedding(9, 4), kl.Conv1D(4, 3, padding="causal"), kl.LSTM(5)])
    inner = keras.Sequential([kl.Input((8,)), kl.Dense(8, activation="gelu")], name="inner")
    spectrum = keras.Input((8,))
    nested = keras.Model(
        spectrum, kl.TimeDistributed(kl.Dense(2))(kl.RepeatVector(3)(inner(inner(kl.Normalization()(spectrum)))))
    )
    return tuple(saved(settled(m), folder / f"{k}.keras").read_bytes() for k, m in enumerate((mixed, words, nested)))


if __name__ == "__main__":
    hostile_archives.serve(".keras", mutant)
