"""From a module to an int8 network: trained in floats, quantized, trained again with the firmware's rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sandgrain.base.errors import UnsupportedError, UsageError, printable
from sandgrain.base.progress import Progress
from sandgrain.formats import text
from sandgrain.formats.torch.convert import convert
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import Quantization
from sandgrain.quantization import post
from sandgrain.quantization.calibrate import Calibration, calibrate
from sandgrain.quantization.convert import Quantized
from sandgrain.quantization.scales import prepare
from sandgrain.train import loop, models
from sandgrain.train.qat import Twin

CALIBRATION = 256  # training windows that ranges are found on
QAT_SHARE = 0.2  # of the epochs are trained again with the int8 twin, at
QAT_RATE = 0.05  # of the learning rate
Features = Callable[[int], tuple[Array, Array]]  # an epoch's int8 features [n, *shape] and labels


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which module, and how it is trained. `width`: channels, None for the family's own. `root`: folder of a user's module."""

    name: str
    shape: tuple[int, ...]
    classes: int
    width: int | None
    options: Mapping[str, Any]
    training: loop.Options
    qat: bool
    root: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """`model`: the int8 network as `text.write_any` has it. `after_training`: those of the network as it was before it was trained
    again in int8; the same bytes where it was not. `module`: the float one. `history`: figures an epoch of each training.
    `note`: what a reader should know, or "".
    """

    model: bytes
    after_training: bytes
    module: nn.Module
    quant: Quantization
    history: Mapping[str, loop.History]
    parameters: int
    lr: float  # the learning rate of the float training, at its peak
    note: str = ""

    def floats(self, features: Array) -> Array:
        """The float network's outputs, float32 [n, classes], on int8 features."""
        return loop.predict(self.module, real(features, self.quant))


class Feed:
    """int8 features as the loop takes them: real numbers. `validation`: None has the training features judge each epoch."""

    def __init__(self, train: Features, validation: tuple[Array, Array] | None, quant: Quantization) -> None:
        self._train, self._quant = train, quant
        self._validation = train(0) if validation is None else validation

    def train(self, epoch: int) -> tuple[Array, Array]:
        x, y = self._train(epoch)
        return real(x, self._quant), y

    def validation(self) -> tuple[Array, Array]:
        x, y = self._validation
        return real(x, self._quant), y


def real(features: Array, quant: Quantization) -> Array:
    """int8 features as the network is trained on them, float32."""
    values: Array = (features.astype(np.float32) - quant.zero_point[0]) * np.float32(quant.scale[0])
    return values


def make(recipe: Recipe, feed: Feed, quant: Quantization, checkpoints: tuple[Path, Path], progress: Progress) -> Network:
    """Train and quantize. `quant`: of the features. `checkpoints`: of the two trainings; a killed run goes on from them.

    Raises UsageError and UnsupportedError for a module that cannot be had, trained or converted.
    """
    loop.prepare(recipe.training.seed, recipe.training.threads)
    module = build(recipe)
    parameters = sum(p.numel() for p in module.parameters())
    trained = loop.train(module, feed, recipe.training, checkpoints[0], progress)
    graph, given = floats_of(module, recipe.shape, quant)
    seen = _picked(feed.train(0)[0])
    history, note = {"training": trained.history}, ""
    model = after = text.write_any(_after(graph, seen, given).graph)
    if recipe.qat:
        ranges = calibrate(graph, [seen], Calibration("mse"))
        try:
            twin = Twin(graph, ranges, given)
        except UnsupportedError as error:
            note = f"quantized after training, not trained with it: {error}"
        else:
            progress("training in int8", 0, 1)
            history["qat"] = loop.train(
                twin, feed, tuned(recipe.training, trained.lr), checkpoints[1], progress, teacher=module
            ).history
            model = text.write_any(twin.finish().graph)
    return Network(model, after, module, quant, history, parameters, trained.lr, note)


def tuned(training: loop.Options, lr: float) -> loop.Options:
    """How the int8 twin is trained to give what the float network gives: a share of the epochs, at a share of its rate, all of them.

    Labels instead of the float network's outputs let the two drift apart: on cifar10 they then agreed on 95.2 % of the test
    windows, less than without any training in int8 (97.4 %), and on 98.2 % with its outputs.
    """
    epochs = max(round(training.epochs * QAT_SHARE), 3)
    return replace(training, epochs=epochs, lr=lr * QAT_RATE, patience=0, weight_decay=0.0)


def untrained(recipe: Recipe, features: Array, quant: Quantization) -> bytes:
    """The int8 network with random weights: what it costs is what the trained one costs. `features`: int8 [n, *shape]."""
    loop.prepare(recipe.training.seed)
    graph, given = floats_of(build(recipe).eval(), recipe.shape, quant)
    return text.write_any(_after(graph, _picked(real(features, quant)), given).graph)


def _after(graph: Graph, seen: Array, given: Mapping[int, Quantization]) -> Quantized:
    return post.quantize(graph, [seen], post.Options(Calibration("mse")), given)


def build(recipe: Recipe) -> nn.Module:
    """The module, its weights drawn. Raises UsageError."""
    if ":" in recipe.name:
        return models.load_user_module(recipe.name, recipe.shape, recipe.classes, root=recipe.root, **recipe.options)
    return models.build(family(recipe.name), recipe.shape, recipe.classes, recipe.width, **recipe.options)


def family(name: str) -> str:
    """A family's name as the catalogue has it: "DS-CNN" is "dscnn". Raises UsageError."""
    letters = _letters(name)
    found = [known for known in models.CATALOGUE if _letters(known) == letters]
    if not found:
        raise UsageError(
            f"[model] name: no model is called {printable(name)}; choose {', '.join(models.CATALOGUE)}, or package.module:Class"
        )
    return found[0]


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def floats_of(module: nn.Module, shape: tuple[int, ...], quant: Quantization) -> tuple[Graph, dict[int, Quantization]]:
    """The float graph of a module, and the quantization that its input has: the features'."""
    graph = prepare(convert(module, torch.zeros(1, *shape), "model"), None).graph
    return graph, {graph.inputs[0]: quant}


def _picked(x: Array) -> Array:
    """Some samples, spread over all, each a batch of one: float32 [n, 1, *shape]."""
    rows: Array = x[np.linspace(0, len(x) - 1, min(len(x), CALIBRATION)).astype(int)][:, np.newaxis]
    return rows
