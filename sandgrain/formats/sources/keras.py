"""Keras 3: .keras files and live models. Files need no Keras, and nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats import keras
from sandgrain.formats.keras import files
from sandgrain.formats.keras.weights import LiveWeights
from sandgrain.formats.sources.base import contents, is_made_of
from sandgrain.graph.ir import Graph

TITLE = "Keras"
SUFFIXES = (".keras",)
REFUSED = dict.fromkeys((".h5", ".hdf5"), files.OLD)
MODELS = ("keras.src.models.functional.Functional", "keras.src.models.sequential.Sequential")


def owns(model: object) -> bool:
    return is_made_of(model, "keras.src.models.model.Model", "keras.src.layers.layer.Layer", "keras.engine.training.Model")


def of_floats(model: object) -> bool:
    return True


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The float graph of a model. `example_input`: an array [1, ...] (or a tuple of them) where the model leaves sizes open."""
    if isinstance(model, Path):
        entry, weights = files.read(contents(model, files.MAX_FILE))
        return keras.convert(entry, weights, name, example_input)
    kind = printable(type(model).__qualname__)
    if not is_made_of(model, *MODELS):
        raise UnsupportedError(f"{kind}: {keras.SUBCLASS}")
    try:
        entry = files.parsed(model.to_json())
    except ModelError:
        raise
    except Exception as error:  # layers of the user's own may raise anything
        fact = printable(" ".join(str(error).split()), 150)
        raise UnsupportedError(f"{kind}: its configuration cannot be had ({fact}); build it from Keras's layers") from None
    return keras.convert(entry, LiveWeights(model), name, example_input)
