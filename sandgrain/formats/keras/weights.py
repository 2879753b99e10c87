"""Where a model's arrays come from: a file of weights or a live model, looked at in the same way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, printable
from sandgrain.formats.keras.hdf5 import Hdf5


class Weights(Protocol):
    """The arrays of one layer, and of those inside it."""

    def arrays(self) -> list[Array]:
        """In Keras's order, which is that of their making."""
        ...

    def inner(self, attribute: str) -> Weights:
        """Those of the layer that is kept as `attribute`."""
        ...

    def layers(self, entries: Sequence[tuple[str, str]]) -> dict[str, Weights]:
        """Those of a model's layers by name; `entries`: (name, class) of its layers in order."""
        ...


class FileWeights:
    """Arrays in a file, under `path`."""

    def __init__(self, file: Hdf5, path: str = "") -> None:
        self._file, self._path = file, path

    def arrays(self) -> list[Array]:
        found: list[Array] = []
        while (path := f"{self._path}/vars/{len(found)}") in self._file.places:
            found.append(self._file.array(path))
        return found

    def inner(self, attribute: str) -> Weights:
        return FileWeights(self._file, f"{self._path}/{attribute}")

    def layers(self, entries: Sequence[tuple[str, str]]) -> dict[str, Weights]:
        """Keras names a layer's group after its class, counted from the second on."""
        prefix = f"{self._path}/layers" if self._path else "layers"
        counts: Counter[str] = Counter()
        found: dict[str, Weights] = {}
        for name, kind in entries:
            group = group_name(kind)
            found[name] = FileWeights(self._file, f"{prefix}/{group}" + (f"_{counts[group]}" if counts[group] else ""))
            counts[group] += 1
        return found


class LiveWeights:
    """Arrays of a live layer or model."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def arrays(self) -> list[Array]:
        variables = [*self._layer._trainable_variables, *self._layer._non_trainable_variables]
        return [_array(v.value) for v in variables]

    def inner(self, attribute: str) -> Weights:
        return LiveWeights(getattr(self._layer, attribute))

    def layers(self, entries: Sequence[tuple[str, str]]) -> dict[str, Weights]:
        return {layer.name: LiveWeights(layer) for layer in self._layer.layers}


def _array(value: Any) -> Array:
    """A tensor of Keras's backend: PyTorch's, TensorFlow's, or one that numpy understands."""
    value = value.detach().cpu().float() if hasattr(value, "detach") else value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def group_name(kind: str) -> str:
    """Conv2D -> conv2d, MultiHeadAttention -> multi_head_attention: words begin at capitals that small letters follow or precede."""
    words = re.sub(r"(?<=.)(?=[A-Z][a-z])(?<!_)|(?<=[a-z])(?=[A-Z])", "_", re.sub(r"\W", "", kind[:200]))
    return words.lower()


def taken(weights: Weights, **shapes: tuple[int, ...] | None) -> list[Array]:
    """A layer's arrays, float32, of these shapes; a shape of None is one that the layer does not have (and gives None).

    Raises ModelError where the arrays are others.
    """
    arrays = weights.arrays()
    wanted = {name: shape for name, shape in shapes.items() if shape is not None}
    if len(arrays) < len(wanted):
        raise ModelError(
            f"{len(arrays)} arrays where it needs {len(wanted)} ({', '.join(wanted)}); build the model, and save it again"
        )
    found = {}
    for (name, shape), array in zip(wanted.items(), arrays, strict=False):
        if array.shape != shape:
            raise ModelError(f"its {printable(name)} has the shape {list(array.shape)}, not {list(shape)}; save the model again")
        found[name] = np.asarray(array, np.float32)
    return [found.get(name) for name in shapes]  # type: ignore[misc]
