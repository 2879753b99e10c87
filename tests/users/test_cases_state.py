"""State between calls is refused on every route in: no model computes something else than its framework, in silence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandgrain.api import _bring
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.keras.layers.recurrent import _stateful
from tests.support.draws import rare

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")


class Remembers(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A running mean of its inputs, written in one of the ways that PyTorch has."""

    def __init__(self, write: Callable[[Any, Any], None]) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(1, 4))
        self.write = write

    def forward(self, x: Any) -> Any:
        self.write(self, x)
        return torch.relu(x + self.kept)


def assign(module: Any, x: Any) -> None:
    module.kept = 0.9 * module.kept + 0.1 * x


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "in_place": lambda m, x: m.kept.add_(x),
    "copy": lambda m, x: m.kept.copy_(0.9 * m.kept + 0.1 * x),
    "slice": lambda m, x: m.kept[:, 1:].copy_(x[:, :-1]),
    "assign": assign,
}


@rare
@pytest.mark.parametrize("way", WAYS)
def test_01_a_buffer_written_in_forward_is_refused(way: str, tmp_path: Path) -> None:
    module, example = Remembers(WAYS[way]).eval(), torch.zeros(1, 4)
    exported = torch.export.export(module, (example,))
    torch.export.save(exported, tmp_path / "m.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(exported.run_decompositions({}), tmp_path / "n.pt2")
    for model in (module, exported, tmp_path / "m.pt2", tmp_path / "n.pt2"):
        with pytest.raises(UnsupportedError, match="state kept between calls") as caught:
            _bring.load(model, "m", example if model is module else None)
        assert "\n" not in str(caught.value)


def test_01_an_input_written_in_forward_is_refused() -> None:
    class Writes(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, h: Any) -> Any:
            h.add_(x)
            return torch.relu(h)

    with pytest.raises(UnsupportedError, match="forward writes to"):
        _bring.load(torch.export.export(Writes(), (torch.zeros(1, 4), torch.zeros(1, 4))), "m")


def test_01_a_lone_input_is_the_sample_and_may_be_written_to(tmp_path: Path) -> None:
    """nn.ReLU(inplace=True) as the first layer."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    exported = torch.export.export(torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Tanh()), (torch.zeros(1, 4),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch, about its own trees
        torch.export.save(exported.run_decompositions({}), tmp_path / "m.pt2")
    for given in (exported, tmp_path / "m.pt2"):
        assert [node.op for node in _bring.load(given, "m").nodes] == ["relu", "tanh"]


@pytest.mark.parametrize(
    "config",
    [
        {"stateful": True},
        {"layer": {"class_name": "LSTM", "config": {"stateful": True}}},
        {"backward_layer": {"class_name": "GRU", "config": {"stateful": True}}},
    ],
)
def test_01_a_stateful_keras_layer_is_known_by_its_flag(config: Any) -> None:
    assert _stateful(config) and not _stateful({"stateful": False, "layer": {"config": {"stateful": False}}})


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about how numpy copies
def test_01_a_stateful_keras_model_is_refused(kind: str, both: bool, tmp_path: Path) -> None:
    keras = pytest.importorskip("tests.support.keras_models", reason="needs Keras: pip install 'sandgrain[test]'").keras
    layer = getattr(keras.layers, kind)(3, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(1, 1, 4)), keras.layers.Bidirectional(layer) if both else layer])
    model.save(tmp_path / "m.keras")
    for given in (model, tmp_path / "m.keras"):
        with pytest.raises(UnsupportedError, match="keeps its state between calls"):
            _bring.load(given, "m")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_01_an_onnx_state_that_is_fed_in_is_refused_with_a_way_out_that_works(kind: str) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'sandgrain[test]'")
    import numpy as np

    gates = {"LSTM": 4, "GRU": 3}[kind]
    make = onnx.helper

    def model(fed: bool) -> Any:
        node = make.make_node(kind, ["x", "w", "r", "", "", *(["h"] if fed else [])], ["", "y"], hidden_size=3)
        inputs = [make.make_tensor_value_info("x", 1, [1, 1, 2])]
        if fed:
            inputs.append(make.make_tensor_value_info("h", 1, [1, 1, 3]))
        weights = [
            onnx.numpy_helper.from_array(np.ones((1, 3 * gates, n), np.float32) / 9, name) for name, n in (("w", 2), ("r", 3))
        ]
        graph = make.make_graph([node], "g", inputs, [make.make_tensor_value_info("y", 1, [1, 1, 3])], weights)
        return make.make_model(graph, opset_imports=[make.make_opsetid("", 14)], ir_version=8)

    with pytest.raises(UnsupportedError, match="first state that is fed in") as caught:
        _bring.load(model(True), "m")
    assert "initializer" not in str(caught.value)
    assert _bring.load(model(False), "m").nodes
