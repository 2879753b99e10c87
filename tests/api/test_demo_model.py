"""The demo's model is small, good, and was measured on images that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sandgrain.formats.tflite import read
from sandgrain.graph.interpret import run
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import dequantize
from tests.support.draws import rare


def load(path: Path) -> Graph:
    return read.load(path)


@rare
def test_demo_model_recognises_98_percent_of_the_held_out_images(digits_model: Path, digits_data: Path) -> None:
    graph, data = load(digits_model), np.load(digits_data)
    assert data["x"].shape == (360, 8, 8, 1) and data["x"].dtype == np.int8
    guess = [int(np.argmax(run(graph, [image[None]])[0])) for image in data["x"]]
    assert np.mean(guess == data["y"]) >= 0.98


def test_demo_images_are_the_scans_without_loss(digits_model: Path, digits_data: Path) -> None:
    graph, data = load(digits_model), np.load(digits_data)
    quant = graph.tensors[graph.inputs[0]].quant
    assert quant is not None
    pixels = 16 * dequantize(data["x"], quant)
    assert np.abs(pixels - np.rint(pixels)).max() < 1e-4
    assert set(np.rint(pixels).astype(int).reshape(-1)) == set(range(17))


def test_demo_data_has_every_digit_equally_often(digits_data: Path) -> None:
    data = np.load(digits_data)
    counts = np.bincount(data["y"], minlength=10)
    assert counts.min() >= 34 and counts.max() <= 38
    assert data["labels"].tolist() == [str(digit) for digit in range(10)]


def test_demo_model_is_small(digits_model: Path) -> None:
    graph = load(digits_model)
    assert sum(t.nbytes for t in graph.tensors if t.data is not None) < 10_000
    assert sum(OPS[node.op].macs(graph.view(node)) for node in graph.nodes) < 300_000


def test_demo_model_uses_scales_for_each_channel(digits_model: Path) -> None:
    graph = load(digits_model)
    lengths = [len(t.quant.scale) for t in graph.tensors if t.data is not None and t.quant is not None and t.dtype == "int8"]
    assert min(lengths) > 1
