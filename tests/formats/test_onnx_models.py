"""Whole ONNX models: the same numbers as ONNX Runtime in floats, and in int8 the same bytes in numpy, on the host and on the core."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, the oracle of these tests")
from tests.support.draws import rare, turns
from tests.support.import_proof import prove
from tests.support.onnx_builder import agree, laid_out
from tests.support.onnx_models import MODELS

DECIBELS = 20.0
LARGEST = "mobilenet_v2_035"
# Heads of an attention, a split of shuffled channels, pixels out of channels: elements really have to move.
MOVES = {"transformer": 4, "einsum_attention": 4, "shufflenet": 2, "super_resolution": 1}


@rare
@pytest.mark.parametrize("name", [pytest.param(LARGEST, marks=pytest.mark.slow), *turns([m for m in MODELS if m != LARGEST], 3)])
def test_a_model_is_the_same_in_onnx_runtime_in_numpy_and_on_the_core(name: str) -> None:
    model = MODELS[name]
    samples = model.samples()
    graph = agree(model.model(), samples)
    assert [n.op for n in graph.nodes].count("transpose") == MOVES.get(name, 0)
    ratio = prove(graph, [laid_out(samples, graph, graph.inputs[0])])
    print(f"{name}: {ratio:.1f} dB")
    assert ratio > DECIBELS


@pytest.mark.parametrize("opset", [11, 13, 15, 18, 21])
def test_an_opset_makes_no_difference(opset: int) -> None:
    for name in ("cnn1d", "squeezenet", "detector"):
        agree(MODELS[name].model(opset=opset), MODELS[name].samples(2))
