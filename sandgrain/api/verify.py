"""`sandgrain.verify`: the C held against the model, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import _bring
from sandgrain.api._bundles import bundle_of
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import store
from sandgrain.bundle.verdict import Place as Place
from sandgrain.bundle.verdict import Verdict, check_place
from sandgrain.bundle.verify import SEEDS, How, compare_with_reference

RANDOM_SAMPLES = 10


@verb
def verify(
    folder: str | os.PathLike[str],
    data: Any = None,
    *,
    labels: Any = None,
    limit: int | None = None,
    on: Place = "both",
    oracle: bool = True,
    edited: bool = False,
    seed: int | None = None,
    progress: Watch = None,
) -> Verdict:
    """Make a compiled model's C again, run it over samples everywhere, and compare every byte of every layer with the reference.

    `folder`: what `sandgrain.compile` wrote, or a project that was built, whose `out/` is taken.
    `data`: path of an .npz with x and, for the accuracy, y; or samples as `compile` takes them for calibration, in the layout
        of the model that was compiled; by default fresh ones, which move every layer.
    `labels`: integers [n], for the accuracy, where `data` brings none.
    `limit`: take the first so many samples; of fresh ones, how many are made (10).
    `on`: "emulator" (the firmware on its core; nothing of the C runs on this computer itself), "host" (the C built for this
        computer, in a child process with limits) or "both".
    `oracle`: compare with TensorFlow Lite Micro too, where its wheel is installed.
    `edited`: run C that is not what the bundle's proof makes; without, it counts as different and is not run.
    `seed`: of the fresh samples, and of the numbers that helpers are tried with; by default a new one each time, in the Verdict.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    A difference raises nothing: the Verdict says so, and names the first layer that differs. Raises UsageError for a folder or
    samples that cannot be used, ToolchainError and RunError when a tool fails or the C crashes or does not end.
    """
    check_place(on)
    if seed is not None and not 0 <= seed < SEEDS:
        raise UsageError(f"a seed of {seed}; choose 0 to {SEEDS - 1}")
    if limit is not None and limit < 1:
        raise UsageError(f"a limit of {limit} samples; choose 1 or more")
    bundle = store.load_bundle(bundle_of(Path(folder)))
    samples = _samples(bundle, data, labels, limit).head(limit) if data is not None else limit or RANDOM_SAMPLES
    with watched(progress) as step:
        return compare_with_reference(bundle, samples, How(on, oracle, edited, seed), step)


def _samples(bundle: store.Bundle, data: Any, labels: Any, limit: int | None) -> datafile.DataSet:
    """An array, or the first so many samples of a file, as the bundle's graph takes it."""
    graph = bundle.compiled.imported
    if isinstance(data, str | os.PathLike):
        return datafile.load(Path(data), graph, limit)
    inputs, own = _bring.fitted_with_labels(graph, data)
    given = own if labels is None else _bring.numbers_of(labels)
    if given is None:
        return datafile.DataSet(inputs, None)
    if given.size != len(inputs[0]):
        raise UsageError(f"{given.size} labels for {len(inputs[0])} samples; give one for each")
    return datafile.DataSet(inputs, given.reshape(-1).astype(np.int64))
