"""`.keras` files: an archive of config.json and model.weights.h5. What they hold is read, never run."""

from __future__ import annotations

import json
from typing import Any

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.formats.archive import Archive
from sandgrain.formats.keras.hdf5 import SIGNATURE, Hdf5
from sandgrain.formats.keras.weights import FileWeights, Weights

MAX_FILE = 1 << 26  # bytes, packed or unpacked: room for weights and an optimizer's two copies of 5 million numbers
MAX_CONFIG = 1 << 23
OLD = "a whole model in HDF5 is a format of Keras 2; load it in Keras and save it as .keras"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def read(data: bytes) -> tuple[dict[str, Any], Weights]:
    """(configuration, weights) of a file. Raises ModelError for what is damaged or too large, UnsupportedError for other formats."""
    if data.startswith(SIGNATURE):
        raise UnsupportedError(OLD)
    archive = Archive(data, MAX_FILE)
    entry = parsed(archive.read(CONFIG, MAX_CONFIG))
    if WEIGHTS not in archive.names:
        raise UnsupportedError(
            f"there is no {WEIGHTS}, the weights lie in several files or in another format; save the model as one .keras file"
        )
    return entry, FileWeights(Hdf5(archive.read(WEIGHTS)))


def parsed(text: str | bytes) -> dict[str, Any]:
    """A model's configuration from JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError("a configuration that is no JSON, or too deep; save the model again") from None
    if not isinstance(found, dict):
        raise ModelError("a configuration that is no model; save the model again")
    return found
