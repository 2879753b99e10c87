"""An autoencoder of the catalogue, trained to give its inputs back, and its int8 graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sandgrain.formats.torch import convert
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import Quantization
from sandgrain.quantization import Calibration, quantize
from sandgrain.quantization import Options as QuantizeOptions
from sandgrain.train import loop
from sandgrain.train.models import build

CALIBRATION = 512  # rows


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """Every epoch the same samples, which are their own targets."""

    normal: Array
    held_out: Array

    def train(self, epoch: int) -> tuple[Array, Array]:
        return self.normal, self.normal

    def validation(self) -> tuple[Array, Array]:
        return self.held_out, self.held_out


def trained(
    normal: Array,
    held_out: Array,
    quant: Quantization,
    name: str,
    width: int | None,
    epochs: int,
    seed: int,
    checkpoint: Path | None = None,
) -> tuple[Graph, Callable[[Array], Array]]:
    """(int8 graph, the float model as a function) for rows float32 [n, *shape], whose int8 form `quant` is.

    With `checkpoint`, the training goes on from there and keeps it up to date.
    """
    loop.prepare(seed)
    module = build(name, normal.shape[1:], 1, width)
    loop.train(module, _Same(normal, held_out), loop.Options(epochs=epochs, loss="mse", seed=seed, batch=128), checkpoint)
    graph = convert(module, torch.zeros(1, *normal.shape[1:]), "autoencoder")
    chosen = np.random.default_rng(seed).choice(len(normal), min(CALIBRATION, len(normal)), replace=False)
    calibration = normal[np.sort(chosen)].reshape(-1, *graph.tensors[graph.inputs[0]].shape)
    options = QuantizeOptions(Calibration("minmax"), bias_correction=True)
    made = quantize(graph, [calibration], options, {graph.inputs[0]: quant})

    def run(x: Array) -> Array:
        return reals.outputs(graph, x.reshape(-1, *graph.tensors[graph.inputs[0]].shape))[0]

    return made.graph, run
