"""State that a .tflite keeps between calls in TensorFlow Lite Micro, and our C does not: said wherever such a model goes through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.api import _bring, _int8
from sandgrain.base.errors import ModelError
from sandgrain.base.progress import silent
from sandgrain.formats import text
from sandgrain.formats.tflite import read, write
from sandgrain.formats.tflite.says import JOINT, RESTARTS
from sandgrain.graph.ir import Graph, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import dequantize
from sandgrain.graph.states import STATE, state_note
from sandgrain.graph.text import dump, parse
from tests.support.command import sandgrain
from tests.support.draws import SeededDraw
from tests.support.shared_files import MODELS, shared_model

SHARED = ("wild/tflm__trained_lstm_int8", "wild/tflm__micro_speech_lstm", "wild/tflm__dtln_noise_suppression")


@pytest.fixture(scope="module")
def lstm() -> Graph:
    """One int8 LSTM, as the op draws it for its own tests, of which the format has every option."""
    for seed in range(50):
        graph = OPS["lstm"].sample(SeededDraw(seed))
        if text.write_any(graph)[4:8] == b"TFL3":
            return graph
    raise AssertionError("no sample that a .tflite holds")


@pytest.fixture(scope="module")
def file(lstm: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As another tool would write it: its states are variables, and nothing says that they start anew."""
    path = tmp_path_factory.mktemp("state") / "kept.tflite"
    path.write_bytes(write.write(lstm, "MLIR Converted."))
    return path


@pytest.mark.parametrize("name", SHARED)
def test_01_the_layers_whose_state_a_shared_model_keeps_are_known(name: str) -> None:
    shared_model(name)
    graph = _bring.load(MODELS / f"{name}.tflite", "m")
    assert graph.restarts and len(graph.restarts) == sum(node.op == "lstm" for node in graph.nodes)
    assert STATE in state_note(graph)


@pytest.mark.parametrize("name", ["hello_world_int8", "micro_speech_quantized"])
def test_01_a_model_without_state_has_no_such_note(name: str) -> None:
    shared_model(name)
    assert state_note(_bring.load(MODELS / f"{name}.tflite", "m")) == ""


def test_01_tensorflow_lite_micro_does_keep_it(lstm: Graph, file: Path) -> None:
    """The fact behind the note: the same sample twice gives two answers there, and one here."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro._runtime", reason="needs tflite-micro")
    config = runtime.PythonInterpreterConfig.kAllocationRecording
    interpreter = runtime.InterpreterWrapper(file.read_bytes(), [], 1 << 20, 0, config, 0)
    tensor = lstm.tensors[lstm.inputs[0]]
    x, answers = np.full(tensor.shape, 100, np.int8), []
    for _ in range(2):
        interpreter.SetInputTensor(x, 0)
        interpreter.Invoke()
        answers.append(np.array(interpreter.GetOutputTensor(0)))
    assert not np.array_equal(answers[0], answers[1])


def test_01_inspect_compile_and_verify_say_it(file: Path, tmp_path: Path) -> None:
    assert any(STATE in warning for warning in api.inspect(file).warnings)
    shown = sandgrain("inspect", file, cwd=tmp_path)
    assert "warning: layer" in shown.out and "starts from zero at each call" in " ".join(shown.out.split())
    made = api.compile(file, target="host", out=tmp_path / "b", measure=False)
    assert any(STATE in note for note in made.report.notes)
    verdict = api.verify(tmp_path / "b", limit=1, on="host", oracle=False)
    assert verdict.identical and verdict.state == STATE and verdict.conclusion.endswith(f"{STATE}.")
    assert verdict.to_json()["state"] == STATE


def test_01_a_model_of_floats_that_is_quantized_says_it_as_well(lstm: Graph, tmp_path: Path) -> None:
    tensors = tuple(
        Tensor(t.name, t.shape, "float32", None, None if t.data is None or t.quant is None else dequantize(t.data, t.quant))
        for t in lstm.tensors
    )
    path = tmp_path / "floats.tflite"
    path.write_bytes(write.write(replace(lstm, tensors=tensors)))
    graph, x = _bring.load(path, "m"), np.random.default_rng(0).standard_normal((30, *tensors[lstm.inputs[0]].shape[1:]))
    made = _int8.quantized(path, graph, "m", x.astype(np.float32), _int8.options_of("minmax"), silent)
    assert made.graph.restarts == graph.restarts != ()


def test_01_a_state_that_starts_anew_in_the_model_too_is_no_news(lstm: Graph) -> None:
    """What comes from PyTorch, Keras or ONNX is kept as a .tflite whose LSTM has variables, and says that they start anew."""
    assert lstm.restarts == ()
    kept = text.write_any(lstm)
    assert RESTARTS.encode() in kept and text.read_any(kept, "m").restarts == ()
    again = read.read(write.write(lstm), "m")
    assert again.restarts
    assert text.read_any(text.write_any(again), "m").restarts == again.restarts


def test_01_the_note_goes_through_a_graphs_text(lstm: Graph) -> None:
    graph = read.read(write.write(lstm), "m")
    assert parse(dump(graph, data=True)).restarts == graph.restarts
    assert parse(dump(lstm, data=True)).restarts == ()
    damaged = dump(graph, data=True).replace("restarts ", "restarts 1\nrestarts ", 1)
    with pytest.raises(ModelError, match="a label or a layer's name is not text"):
        text.read(damaged.encode(), "m")


def test_01_other_facts_of_a_description_stay(lstm: Graph) -> None:
    kept = text.read_any(text.write_any(replace(lstm, channels_first=True)), "m")
    assert kept.channels_first and kept.restarts == () and JOINT not in RESTARTS
