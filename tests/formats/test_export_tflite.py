"""Models go out as they came in: imported, exported, and run by TensorFlow Lite Micro."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.formats import sources
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import reals
from sandgrain.graph.ir import Graph
from tests.support.shared_files import MODELS, shared_model
from tests.support.tflm_oracle import needs_tflm, tflm_run

NAMES = sorted(p.stem for p in MODELS.glob("*.tflite"))
SAMPLES = 3

pytestmark = [needs_tflm, pytest.mark.skipif(not NAMES, reason="no models; name their folder in SANDGRAIN_MODELS")]


def loaded(name: str) -> Graph:
    shared_model(name)  # skips where it is missing
    return sources.load(MODELS / f"{name}.tflite", name)


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_model_gives_the_same_answers(name: str) -> None:
    graph, rng = loaded(name), np.random.default_rng(0)
    tensors = [graph.tensors[i] for i in graph.inputs]
    if sources.is_float(graph):
        x = [rng.standard_normal((SAMPLES, *t.shape)).astype(np.float32) for t in tensors]
        rows = tflm_run(writer.write(graph), [[v[k] for v in x] for k in range(SAMPLES)])
        for k, wanted in enumerate(reals.outputs(graph, x)):
            found = np.stack([row[k] for row in rows]).reshape(wanted.shape)
            assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
        return
    samples = [[rng.integers(-128, 128, t.shape).astype(t.dtype.numpy) for t in tensors] for _ in range(SAMPLES)]
    original, written = tflm_run(shared_model(name), samples), tflm_run(writer.write(graph), samples)
    for a, b in zip(original, written, strict=True):
        assert [y.tobytes() for y in a] == [y.tobytes() for y in b]


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_model_is_read_back_as_the_same_graph(name: str) -> None:
    graph = loaded(name)
    again = (read.read_float if sources.is_float(graph) else read.read)(writer.write(graph), name)
    assert [(n.op, dict(n.attrs)) for n in again.nodes] == [(n.op, dict(n.attrs)) for n in graph.nodes]
    for a, b in zip(again.nodes, graph.nodes, strict=True):
        for p, q in zip(again.view(a).inputs, graph.view(b).inputs, strict=True):
            assert (p is None) == (q is None)
            if p is not None and q is not None:
                assert (p.shape, p.dtype, p.quant) == (q.shape, q.dtype, q.quant)
                assert q.data is None or (p.data is not None and np.array_equal(p.data, q.data))
