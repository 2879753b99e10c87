"""`sandgrain.verify`: the C held against the model, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _bring
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import store
from sandgrain.bundle.verify import Place as Place
from sandgrain.bundle.verify import Verdict, check_place, compare_with_reference

RANDOM_SAMPLES = 10


@verb
def verify(
    folder: str | os.PathLike[str],
    data: Any = None,
    *,
    labels: Any = None,
    limit: int | None = None,
    on: Place = "emulator",
    oracle: bool = True,
    progress: Watch = None,
) -> Verdict:
    """Run a compiled model over samples everywhere and compare every output byte with the reference interpreter.

    `folder`: what `sandgrain.compile` wrote.
    `data`: path of an .npz with x and, for the accuracy, y; or an array [n, ...] in the layout of the model that was compiled (or
        of its graph, where only that fits), a tuple of arrays for several inputs; by default seeded random inputs.
    `labels`: integers [n], for the accuracy, where `data` is an array.
    `limit`: take the first so many samples; of random inputs, how many are made (10).
    `on`: "emulator" (the firmware on its core, and the C built for this computer) or "host" (the latter alone).
    `oracle`: compare with TensorFlow Lite Micro too, where its wheel is installed.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    A difference raises nothing: the Verdict says so, and names the first layer that differs. Raises UsageError for a folder or
    samples that cannot be used, ToolchainError and RunError when a tool fails.
    """
    check_place(on)
    bundle = store.load_bundle(Path(folder))
    samples = _samples(bundle, data, labels, limit).head(limit) if data is not None else _random(bundle, limit)
    with watched(progress) as step:
        return compare_with_reference(bundle, samples, on, oracle=oracle, progress=step)


def _random(bundle: store.Bundle, limit: int | None) -> datafile.DataSet:
    return datafile.random(bundle.compiled.imported, limit or RANDOM_SAMPLES)


def _samples(bundle: store.Bundle, data: Any, labels: Any, limit: int | None) -> datafile.DataSet:
    """An array, or the first so many samples of a file, as the bundle's graph takes it."""
    graph = bundle.compiled.imported
    if isinstance(data, str | os.PathLike):
        return datafile.load(Path(data), graph, limit)
    inputs = _bring.fitted(graph, data)
    if labels is None:
        return datafile.DataSet(inputs, None)
    numbers = np.asarray(labels).reshape(-1).astype(np.int64)
    if len(numbers) != len(inputs[0]):
        raise UsageError(f"{len(numbers)} labels for {len(inputs[0])} samples; give one for each")
    return datafile.DataSet(inputs, numbers)
