"""A candidate, trained for a few steps on a part of the windows and tested on others, in floats."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.progress import Progress
from sandgrain.bundle import features_in_c
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.project.auto.candidates import Candidate
from sandgrain.project.build import network
from sandgrain.project.build.network import Scaling
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store, digest
from sandgrain.project.features import pipeline_of
from sandgrain.project.inspection import Inspection
from sandgrain.project.sample import Sample

WATCHED = 10  # every so many training windows, one judges the epochs and is not trained with
RATE = 2e-3  # the learning rate of all candidates, where the project has none
LEAST_WATCHED = 200  # training windows from which on that is done


class OutOfTimeError(Exception):
    """The time for the search is over: what is being trained is given up."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a candidate is trained, and on how many of the folds."""

    steps: int
    folds: int


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What every candidate is tried on. `folds`: of each the places of its training and its test windows in `sample`."""

    found: Inspection
    sample: Sample
    folds: Sequence[tuple[Array, Array]]
    store: Store
    seed: int
    key: str  # a hash of all that


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A candidate's features of the sample, int8 [n, *shape], behind `front`."""

    samples: Samples
    front: FrontEnd
    x: Array


def prepared(ground: Ground, candidate: Candidate) -> Prepared:
    """Its features. Their normalization is that of all windows of the sample: for a comparison that is fair enough."""
    found = replace(ground.found, loaded=candidate.of(ground.found.loaded))
    samples = Samples(found, ground.store, ground.seed)
    pipeline = pipeline_of(found)
    fit = lambda: features_in_c.fit(pipeline, ground.sample.x).to_json()  # noqa: E731
    ground.store.json("normalization", samples.key, fit)  # where `samples.front` finds it: no other window is read
    return Prepared(samples, samples.front, features_in_c.extract(samples.front, ground.sample.x))


def tested(
    ground: Ground, candidate: Candidate, made: Prepared, effort: Effort, deadline: float, progress: Progress
) -> list[Array]:
    """A confusion matrix of each fold, int64 [labels, labels], rows are true labels; of numbers [mean absolute error, root of the mean
    squared error], float64 [2]. Kept in the store.

    Raises OutOfTimeError at `deadline` (of time.monotonic), and UsageError or UnsupportedError where it cannot be built or trained.
    """
    found = []
    for k in range(effort.folds):
        key = digest("trial", ground.key, candidate.tables, effort.steps, k)
        kept = ground.store.json("trial", key, partial(_trained, ground, made, effort, k, deadline, progress))
        found.append(np.array(kept, np.int64 if ground.sample.numbers is None else np.float64))
    return found


def _trained(ground: Ground, made: Prepared, effort: Effort, k: int, deadline: float, progress: Progress) -> list[Any]:
    from sandgrain.train import length, loop
    from sandgrain.train import network as nets

    recipe = network.recipe(made.samples, ground.seed, made.front)
    train, test = ground.folds[k]
    x, quant, numbers = made.x, made.front.normalization.quant, ground.sample.numbers
    watched = train[::WATCHED] if len(train) >= LEAST_WATCHED else train[:0]
    learned = np.setdiff1d(train, watched)
    scaling = None if numbers is None else Scaling(float(numbers[learned].mean()), float(numbers[learned].std()) or 1.0)
    y = ground.sample.y if scaling is None or numbers is None else scaling.scaled(numbers)
    batch = made.samples.found.loaded.project.train.batch or length.batch_of(len(learned))
    epochs = max(round(effort.steps / length.steps_of(len(learned), batch)), 1)
    lr = recipe.training.lr or RATE  # a test of its own would take longer than the first round
    options = replace(recipe.training, batch=batch, epochs=epochs, patience=0, lr=lr)
    held = (x[watched], y[watched]) if len(watched) else None
    feed = nets.Feed(lambda epoch: (x[learned], y[learned]), held, quant)

    def step(text: str, done: int, total: int, /) -> None:
        if time.monotonic() > deadline:
            raise OutOfTimeError
        progress(text, done, total)

    step("training", 0, epochs)
    loop.prepare(ground.seed, options.threads)
    module: Any = nets.build(recipe)
    loop.train(module, feed, options, None, step)
    outputs = loop.predict(module, nets.real(x[test], quant))
    if scaling is not None and numbers is not None:
        off = scaling.real(outputs) - numbers[test]
        return [float(np.abs(off).mean()), float(np.sqrt((off**2).mean()))]
    said = outputs.argmax(1)
    counts = np.zeros((recipe.classes, recipe.classes), np.int64)
    np.add.at(counts, (y[test], said), 1)
    found: list[list[int]] = counts.tolist()
    return found
