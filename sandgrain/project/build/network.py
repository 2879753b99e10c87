"""The project's network: trained once for the same data, model, options and seed, and then read from the store."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress
from sandgrain.dataset import targets
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import digest

if TYPE_CHECKING:  # PyTorch takes seconds to import, and is needed only where something is trained
    from sandgrain.train.network import Recipe


@dataclass(frozen=True, slots=True)
class Scaling:
    """Numbers as a network learns them: those of the training windows have a mean of 0 and a deviation of 1."""

    mean: float
    deviation: float

    def scaled(self, numbers: Array) -> Array:
        """float32 [n, 1]."""
        found: Array = ((numbers - self.mean) / self.deviation).astype(np.float32)[:, np.newaxis]
        return found

    def real(self, outputs: Array) -> Array:
        """float64 [n]: the inverse."""
        found: Array = outputs.reshape(-1).astype(np.float64) * self.deviation + self.mean
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """What a project's network learns. `scaling`: of numbers, None for labels."""

    outputs: int
    loss: Literal["cross-entropy", "huber"]
    scaling: Scaling | None = None

    def targets(self, samples: Samples, side: str) -> Array:
        """Of each window of a side."""
        return samples.features(side)[1] if self.scaling is None else self.scaling.scaled(samples.numbers(side))


def aim_of(samples: Samples) -> Aim:
    """A label, or a number where `[data]` says one. Raises UsageError where there is nothing to tell apart."""
    if not targets.asked(samples.found.manifest.layout):
        return Aim(len(samples.found.labels), "cross-entropy")
    numbers = samples.numbers("train")
    deviation = float(numbers.std())
    if not deviation:
        raise UsageError(f"[data]: every training window has the number {numbers[0]:g}; there is nothing to learn")
    return Aim(1, "huber", Scaling(float(numbers.mean()), deviation))


NO_VALIDATION = "no validation side: the epoch with the least loss on the training windows was taken"


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """`model`: the int8 network, a .tflite or a graph's text; `after_training`: as they were before training in int8. `scores`: the float network's outputs on
    the test features, float32 [n, classes]. `history`: training -> figure -> a value an epoch.
    """

    model: bytes
    after_training: bytes
    scores: Array
    history: Mapping[str, Mapping[str, list[float]]]
    parameters: int
    lr: float  # the learning rate at its peak
    notes: tuple[str, ...] = ()


def trained(samples: Samples, seed: int, progress: Progress) -> Trained:
    """The network of a project. Checkpoints and the result are kept in the store: a killed run goes on where it was."""
    aim = aim_of(samples)
    if aim.scaling is None and aim.outputs < 2:
        raise UsageError(f"[data]: {aim.outputs} label; a classifier needs two")
    project, store = samples.found.loaded.project, samples.store
    facts = [samples.key, list(project.augment), project.model, project.train, seed, own_module(samples)]
    key = digest("network and rate", *facts)
    made = store.arrays("network", key, lambda: _make(samples, seed, key, progress))
    facts = json.loads(made["facts"].tobytes())
    return Trained(
        made["model"].tobytes(),
        made["after_training"].tobytes(),
        made["scores"],
        facts["history"],
        facts["parameters"],
        facts["lr"],
        tuple(facts["notes"]),
    )


def _make(samples: Samples, seed: int, key: str, progress: Progress) -> dict[str, Array]:
    from sandgrain.train import network as nets

    quant, store = samples.front.normalization.quant, samples.store
    watched = bool(samples.records("validation"))
    aim = aim_of(samples)
    wanted = None if aim.scaling is None else aim.targets(samples, "train")
    feed = nets.Feed(
        samples.varied if wanted is None else lambda epoch: (samples.varied(epoch)[0], wanted),
        (samples.features("validation")[0], aim.targets(samples, "validation")) if watched else None,
        quant,
    )
    checkpoints = store.checkpoint("training", key), store.checkpoint("qat", key)
    net = nets.make(recipe(samples, seed), feed, quant, checkpoints, progress)
    facts = {
        "history": {name: asdict(h) for name, h in net.history.items()},
        "parameters": net.parameters,
        "lr": net.lr,
        "notes": [note for note in (net.note, "" if watched else NO_VALIDATION) if note],
    }
    text = json.dumps(facts).encode()
    return {
        "model": np.frombuffer(net.model, np.uint8),
        "after_training": np.frombuffer(net.after_training, np.uint8),
        "scores": net.floats(samples.features("test")[0]),
        "facts": np.frombuffer(text, np.uint8),
    }


def recipe(samples: Samples, seed: int, front: FrontEnd | None = None, width: int | None = None) -> Recipe:
    """What is trained; `front` and `width`: other features or another width than the project's."""
    from sandgrain.train import length, models
    from sandgrain.train.loop import Options
    from sandgrain.train.network import Recipe, family

    loaded, aim = samples.found.loaded, aim_of(samples)
    m, t = loaded.project.model, loaded.project.train
    windows = samples.count("train")
    batch = t.batch or length.batch_of(windows)
    options = Options(
        epochs=t.epochs or length.epochs_of(windows, batch), batch=batch, lr=t.lr, schedule=t.schedule, weight_decay=t.weight_decay, patience=t.patience,
        label_smoothing=t.label_smoothing, class_weights=t.class_weights, threads=t.threads, seed=seed, loss=aim.loss,
    )  # fmt: skip
    shape = (front or samples.front).pipeline.shape
    return Recipe(
        m.name,
        shape,
        aim.outputs,
        channels(m.name, m.width) if width is None else width,
        m.options if aim.scaling is None else models.for_numbers(family(m.name) if ":" not in m.name else "", m.options),
        options,
        t.qat,
        loaded.folder,
    )


def channels(name: str, width: int) -> int | None:
    """The width in channels; 0 is the family's own. None for a user's module."""
    from sandgrain.train import models, network

    if ":" in name:
        return None
    return width or models.CATALOGUE[network.family(name)].width


def own_module(samples: Samples) -> str:
    """A hash of the file of a user's module, so that an edit trains it again; what it imports is not looked at."""
    loaded = samples.found.loaded
    module, colon, _ = loaded.project.model.name.partition(":")
    if not colon:
        return ""
    beside = loaded.folder.joinpath(*module.split(".")).with_suffix(".py")
    try:
        spec: Any = None if beside.is_file() else importlib.util.find_spec(module)
        return hashlib.sha256((beside if spec is None else Path(spec.origin)).read_bytes()).hexdigest()
    except (ImportError, AttributeError, TypeError, ValueError, OSError):
        return ""  # whoever imports it will say what is wrong
