"""What models did to users, continued: large graphs, refusals that said what was not so, files that were written and then refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sandgrain
from sandgrain.api import export
from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.bundle import fit, measure
from sandgrain.bundle.measure import Build
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.passes import optimize
from sandgrain.compiler.pipeline import emit
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.formats import text
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite.write import write
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import per_tensor
from tests.support import effort
from tests.support.draws import SeededDraw


def chain(count: int) -> Graph:
    """RELUs one after another, no two neighbours with the same scale."""
    tensors = tuple(Tensor(f"t{k}", (1, 8), "int8", per_tensor(0.1 + 0.02 * (k % 3), -128)) for k in range(count + 1))
    return Graph("net", tensors, tuple(Node("relu", f"r{k}", (k,), (k + 1,)) for k in range(count)), (0,), (count,))


# --- 10: many layers ---------------------------------------------------------------------------------------------------------


def work(count: int) -> None:
    """From the bytes of a chain to its C and its planned figures."""
    graph, board = read.read(write(chain(count)), "net"), targets.load("cortex-m4")
    compiled = emit(graph, optimize(graph), board, Options("net"), Choice())
    assert len(measure.planned(Build(compiled, board)).layers) == count


def test_10_four_times_the_layers_are_about_four_times_the_work() -> None:
    work(2)  # what is done once for all models
    assert effort.calls(lambda: work(200)) < 5 * effort.calls(lambda: work(50))


def test_10_the_limit_on_layers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rules.MAX_LAYERS > 3000
    monkeypatch.setattr(rules, "MAX_LAYERS", 8)
    graph = chain(9)
    with pytest.raises(UnsupportedError, match="9 layers, the limit is 8; split the model"):
        rules.check(graph)
    with pytest.raises(UnsupportedError, match="9 layers, the limit is 8; split the model"):
        read.read(write(graph), "net")
    rules.check(chain(8))


def test_10_a_long_chain_is_not_tried_in_strips_of_every_length() -> None:
    lengths = list(fit._lengths(4096))
    assert lengths[:63] == list(range(2, 65)) and len(lengths) < 100


# --- 1, 21: what is said of a .tflite that cannot be read -------------------------------------------------------------------------


def written_as(names: list[str], monkeypatch: pytest.MonkeyPatch, dtype: str = "int8") -> bytes:
    """A chain of RELUs whose operator codes are those of `names`."""
    from sandgrain.formats.tflite import write as writer
    from sandgrain.formats.tflite.names import NAMES

    real, codes = writer._Writer._operator_code, iter(names)

    def other(self: writer._Writer, code: int, version: int) -> int:
        return real(self, NAMES.index(next(codes)), version)

    monkeypatch.setattr(writer._Writer, "_operator_code", other)
    return write(chain(2))


@pytest.mark.parametrize("name", ["VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"])
def test_01_operators_of_variables_are_refused_as_state(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match=f"{name}.*keeps state between runs.*make the state an input and an output"):
        read.read(written_as([name], monkeypatch), "net")


@pytest.mark.parametrize(
    ("operators", "signatures", "says"),
    [
        ({"CALL_ONCE", "RELU"}, 1, "CALL_ONCE keep state between runs; make the state an input"),
        ({"WHILE", "IF"}, 1, "IF, WHILE run the others; export the model with its loops unrolled"),
        ({"RELU"}, 2, "it has 2 signatures; convert one of them"),
        ({"RELU"}, 0, "keep the one to be compiled"),
    ],
)
def test_21_several_subgraphs_are_told_what_they_are_for(operators: set[str], signatures: int, says: str) -> None:
    assert says in read._way_to_one(operators, signatures)


@pytest.mark.parametrize("other", ["int8", "float32", ""])
def test_21_uint8_is_told_apart_by_what_the_layers_compute_in(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandgrain.formats.tflite import write as writer

    graph = chain(2)
    monkeypatch.setitem(writer.TENSOR_TYPE, "int16", 3)  # written as uint8
    first = Tensor("x", (1, 8), "int16", per_tensor(0.1, 0))
    rest = [Tensor(t.name, t.shape, other or "int16", None if other == "float32" else t.quant) for t in graph.tensors[1:]]
    message = {
        "int8": "tensor 0 x has uint8 values, while other layers compute in int8",
        "float32": "uint8 values, and layers that compute in float",
        "": "the model computes in uint8",
    }[other]
    with pytest.raises(UnsupportedError, match=message):
        read.read(write(Graph("net", (first, *rest), graph.nodes, (0,), (2,))), "net")


def test_21_a_configuration_of_keras_2_is_named() -> None:
    from sandgrain.formats.keras.config import Config
    from sandgrain.formats.keras.nodes import nodes_of

    layer = {"name": "d", "class_name": "Dense", "inbound_nodes": [[["input_1", 0, 0, {}]]]}
    with pytest.raises(UnsupportedError, match="as Keras 2 writes them"):
        nodes_of(Config({"layers": [layer]}))


# --- 15: what export writes is read back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.4e18, 3e38, 1e6])
@pytest.mark.parametrize("suffix", [".tflite", ".cc"])
def test_15_export_writes_nothing_that_cannot_be_read(scale: float, suffix: str, tmp_path: Path) -> None:
    tensors = (Tensor("x", (1, 2), "int8", per_tensor(scale, 0)), Tensor("y", (1, 2), "int8", per_tensor(1e-3, 0)))
    graph = Graph("net", tensors, (Node("relu", "d", (0,), (1,)),), (0,), (1,))
    with pytest.raises(UnsupportedError, match=r"would be refused when it is read: (layer 0 y|tensor 0 x).*scale"):
        export.WRITERS[suffix](graph, tmp_path / f"m{suffix}", "net")
    made = export.WRITERS[suffix](chain(2), tmp_path / f"m{suffix}", "net")
    assert tmp_path / f"m{suffix}" in made


def test_21_a_path_stands_once_and_our_own_advice_is_whole(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a model\n")
    (tmp_path / "broken.txt").write_text('graph "x"\nwhat is this\n')
    (tmp_path / "model.xyz").write_bytes(b"\0" * 40)
    (tmp_path / "junk.onnx").write_bytes(b"\x93" * 400)
    for name in ("notes.txt", "broken.txt", "model.xyz", "junk.onnx"):
        for verb in (lambda p: sandgrain.inspect(p), lambda p: sandgrain.compare(p, targets="host")):
            with pytest.raises(sandgrain.SandgrainError) as caught:
                verb(tmp_path / name)
            said = str(caught.value)
            assert said.count(name) == 1 and "?" not in said, said


@pytest.mark.parametrize(
    ("op", "old", "new", "fact"),
    [
        ("leaky_relu", '"alpha"', '"alfa"', "has no attribute alpha, a number"),
        ("mean", '"axes": [', '"axes": 1.5, "was": [', "its attribute axes is 1.5, not a list of whole numbers"),
        ("transpose", '"perm": [', '"perm": "x", "was": [', "its attribute perm is 'x', not a list of whole numbers"),
        ("strided_slice", '"start": [', '"start": [0, ', "start, stride and size are for"),
    ],
)
def test_21_an_attribute_that_is_missing_or_of_another_kind_is_named(op: str, old: str, new: str, fact: str) -> None:
    data = text.write(OPS[op].sample(SeededDraw(3))).decode()
    assert old in data
    with pytest.raises(ModelError, match=re.escape(fact)):
        rules.check(text.read_any(data.replace(old, new).encode(), "m"))
