"""`sandgrain.verify`: the C held against the model, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _bring
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import store
from sandgrain.bundle.verify import Verdict, compare_with_reference

RANDOM_SAMPLES = 10


def verify(
    folder: str | os.PathLike[str],
    data: Any = None,
    *,
    labels: Any = None,
    limit: int | None = None,
    on: str = "emulator",
    oracle: bool = True,
    progress: Progress = silent,
) -> Verdict:
    """Run a compiled model over samples everywhere and compare every output byte with the reference interpreter.

    `folder`: what `sandgrain.compile` wrote.
    `data`: path of an .npz with x and, for the accuracy, y; or an array [n, ...] in the layout of the model that was compiled (or
        of its graph, where only that fits), a tuple of arrays for several inputs; by default seeded random inputs.
    `labels`: integers [n], for the accuracy, where `data` is an array.
    `limit`: take the first so many samples; of random inputs, how many are made (10).
    `on`: "emulator" (the firmware on its core, and the C built for this computer) or "host" (the latter alone).
    `oracle`: compare with TensorFlow Lite Micro too, where its wheel is installed.
    `progress`: called with what runs, samples done, and how many there are.

    A difference raises nothing: the Verdict says so, and names the first layer that differs. Raises UsageError for a folder or
    samples that cannot be used, ToolchainError and RunError when a tool fails.
    """
    bundle = store.load_bundle(Path(folder))
    samples = _samples(bundle, data, labels).head(limit) if data is not None else _random(bundle, limit)
    return compare_with_reference(bundle, samples, on, oracle=oracle, progress=progress)


def _random(bundle: store.Bundle, limit: int | None) -> datafile.DataSet:
    return datafile.random(bundle.compiled.imported, limit or RANDOM_SAMPLES)


def _samples(bundle: store.Bundle, data: Any, labels: Any) -> datafile.DataSet:
    """An array or a file as the bundle's graph takes it."""
    graph = bundle.compiled.imported
    if isinstance(data, str | os.PathLike):
        return datafile.load(Path(data), graph)
    inputs = _bring.fitted(graph, data)
    if labels is None:
        return datafile.DataSet(inputs, None)
    numbers = np.asarray(labels).reshape(-1).astype(np.int64)
    if len(numbers) != len(inputs[0]):
        raise UsageError(f"{len(numbers)} labels for {len(inputs[0])} samples; give one for each")
    return datafile.DataSet(inputs, numbers)
