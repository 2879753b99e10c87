"""Whole ONNX models: the same numbers as ONNX Runtime in floats, and in int8 the same bytes everywhere."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, the oracle of these tests")
from tests.import_proof import prove
from tests.onnx_models import MODELS
from tests.onnx_net import agree, laid_out

ENOUGH = 20.0  # dB


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_everywhere(name: str, record_property: pytest.FixtureRequest) -> None:
    model = MODELS[name]
    samples = model.samples()
    graph = agree(model.model(), samples)
    moves = [n.name for n in graph.nodes if n.op == "transpose"]
    assert not moves, "a transpose is left"
    decibels = prove(graph, [laid_out(samples, graph, graph.inputs[0])])
    print(f"{name}: {decibels:.1f} dB")
    record_property("snr_db", round(decibels, 1))  # type: ignore[operator]
    assert decibels > ENOUGH
