"""The .tflite reader: what it refuses, and how it says so."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from sandgrain.base.errors import ModelError, SandgrainError, UnsupportedError, UsageError
from sandgrain.formats.tflite import flatbuffer, read
from sandgrain.formats.tflite import tensors as tflite_tensors
from sandgrain.formats.tflite import write as writer
from sandgrain.formats.tflite.names import NAMES, operator_name
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import FOREIGN
from sandgrain.graph.quantization import per_tensor
from tests.support import effort
from tests.support.tflite_mutants import MODELS

Q = per_tensor(0.1, 0)


def two_relus(name: str = "h") -> Graph:
    tensors = tuple(Tensor(n, (1, 4), "int8", Q) for n in ("x", name, "y"))
    nodes = (Node("relu", "a", (0,), (1,), attrs()), Node("relu", "b", (1,), (2,), attrs()))
    return Graph("two", tensors, nodes, (0,), (2,))


def refusal(data: bytes) -> str:
    with pytest.raises(SandgrainError) as caught:
        read.read(data, "model")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    return message


def changed(data: bytes, where: Callable[[Any], tuple[int, int]], value: bytes) -> bytes:
    """`data` with `value` at the first byte that `where` (root table -> (byte, ...)) gives."""
    at = where(flatbuffer.root(data, b"TFL3"))[0]
    return data[:at] + value + data[at + len(value) :]


def subgraph(model: Any) -> Any:
    return model.tables(2)[0]


# --- what is refused ---------------------------------------------------------------------------------------------------

FILE = writer.write(two_relus())
NOT_INT8 = {
    0: "this is a float model",
    1: "float16 values",
    3: "computes in uint8",
    5: "string values",
    7: "int16 tensor",
    17: "int4 values",
}


def tensor_field(index: int, slot: int) -> Callable[[Any], tuple[int, int]]:
    return lambda model: (subgraph(model).tables(0)[index]._field(slot, 1), 0)


def item(slot: int, place: int) -> Callable[[Any], tuple[int, int]]:
    """Item `place` of the subgraph's vector `slot`."""
    return lambda model: (subgraph(model)._vector(slot, 4)[0] + 4 * place, 0)


def layer_item(layer: int, slot: int, place: int) -> Callable[[Any], tuple[int, int]]:
    return lambda model: (subgraph(model).tables(3)[layer]._vector(slot, 4)[0] + 4 * place, 0)


def dimension(tensor: int, place: int) -> Callable[[Any], tuple[int, int]]:
    return lambda model: (subgraph(model).tables(0)[tensor]._vector(0, 4)[0] + 4 * place, 0)


def quantization(tensor: int, slot: int) -> Callable[[Any], tuple[int, int]]:
    return lambda model: subgraph(model).tables(0)[tensor].table(4)._vector(slot, 4)


def test_the_unchanged_file_is_read() -> None:
    graph = read.read(FILE, "two")
    assert [n.op for n in graph.nodes] == ["relu", "relu"]
    assert graph.name == "two"


def test_an_unused_tensor_is_dropped() -> None:
    graph = two_relus()
    idle = replace(graph, tensors=(*graph.tensors, Tensor("idle", (3,), "int32", None, np.zeros(3, np.int32))))
    assert len(read.read(writer.write(idle), "g").tensors) == 3


@pytest.mark.parametrize(
    ("where", "value", "fact"),
    [
        (lambda m: (m._field(0, 4), 0), b"\x02", "schema version 2, not 3"),
        (dimension(0, 1), b"\0\0\0\0", "shape [1, 0] with an open or empty dimension"),
        (dimension(0, 1), b"\xff\xff\xff\xff", "shape [1, -1] with an open or empty dimension"),
        (dimension(0, 1), b"\0\0\0\x7f", "holds over"),
        (dimension(1, 1), b"\x05", "layer 0 h (relu): computes the shape [1, 4], but its output is declared as [1, 5]"),
        (tensor_field(1, 1), b"\x63", "tensor 1 h: tensor type 99 does not exist"),
        (quantization(0, 2), struct.pack("<f", float("nan")), "tensor 0 x: "),
        (quantization(0, 2), struct.pack("<f", 0.0), "tensor 0 x: "),
        (quantization(0, 2), struct.pack("<f", -1.0), "tensor 0 x: "),
        (quantization(0, 3), b"\x80\0", "tensor 0 x: a zero point is outside int8"),
        (item(1, 0), b"\x09", "model input: names tensor 9 of 3"),
        (item(2, 0), b"\xff\xff\xff\xff", "model output: names tensor -1 of 3"),
        (item(2, 0), b"\0", "graph output x is not computed by any layer"),
        (layer_item(0, 1, 0), b"\x02", "layer 0 h: reads y before it is computed"),
        (layer_item(0, 1, 0), b"\x01", "layer 0 h: reads h before it is computed"),
        (layer_item(0, 1, 0), b"\xfe\xff\xff\xff", "layer 0 (RELU): names tensor -2 of 3"),
        (layer_item(1, 2, 0), b"\x01", "which already has a value"),
        (layer_item(1, 2, 0), b"\0", "which already has a value"),
        (lambda m: (subgraph(m)._vector(3, 4)[0] - 4, 0), b"\0", "the model has no layers"),
        (lambda m: (m._vector(2, 4)[0] - 4, 0), b"\0", "the file has no subgraph"),
    ],
)
def test_a_changed_value_is_named(where: Callable[[Any], tuple[int, int]], value: bytes, fact: str) -> None:
    assert fact in refusal(changed(FILE, where, value))


@pytest.mark.parametrize("code", NOT_INT8)
def test_other_number_formats_have_their_own_words(code: int) -> None:
    data = FILE
    for tensor in range(3):
        data = changed(data, tensor_field(tensor, 1), bytes([code]))
    assert NOT_INT8[code] in refusal(data)


def test_every_unsupported_operator_is_named_at_once() -> None:
    data = changed(FILE, lambda m: (m.tables(1)[0]._field(3, 4), 0), struct.pack("<i", 200))
    message = refusal(data)
    assert message.startswith(f"layer 0 h ({operator_name(200)}), layer 1 y ({operator_name(200)}): are not supported; ")


def test_hostile_names_are_made_printable() -> None:
    data = writer.write(two_relus("\x1b[31m\n\u202eéx" + "y" * 500))
    graph = read.read(data, "a\nb\x07")
    assert graph.tensors[1].name.startswith("?[31m???xyyy")
    assert len(graph.tensors[1].name) == tflite_tensors.MAX_NAME
    assert len(graph.nodes[0].name) <= 60
    assert graph.name == "a?b?"


def test_layers_of_one_name_are_told_apart() -> None:
    graph = two_relus("y")
    assert [n.name for n in read.read(writer.write(graph), "g").nodes] == ["y", "y#2"]


def test_the_operator_names_agree_with_the_ops() -> None:
    assert {code: NAMES[code] for code in FOREIGN} == {code: f.name for code, (_, f) in FOREIGN.items()}


# --- files that claim too much ----------------------------------------------------------------------------------------


def test_a_self_referring_offset_ends() -> None:
    for at in range(0, len(FILE) - 4, 4):
        data = FILE[:at] + b"\0\0\0\0" + FILE[at + 4 :]
        try:
            read.read(data, "loop")
        except SandgrainError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - a few of them are harmless


def test_a_table_named_a_million_times_runs_out_of_budget() -> None:
    b = flatbuffers.Builder(0)
    b.StartObject(1)
    inner = b.EndObject()
    b.StartVector(4, flatbuffer.MAX_TABLES, 4)
    for _ in range(flatbuffer.MAX_TABLES):
        b.PrependUOffsetTRelative(inner)
    vector = b.EndVector()
    b.StartObject(8)
    for slot in range(8):
        b.PrependUOffsetTRelativeSlot(slot, vector, 0)
    b.Finish(b.EndObject(), file_identifier=b"TFL3")
    table = flatbuffer.root(bytes(b.Output()), b"TFL3")
    with pytest.raises(ModelError, match="over and over"):
        [table.tables(2) for _ in range(100)]


def test_a_long_list_is_refused_before_it_is_built() -> None:
    b = flatbuffers.Builder(0)
    vector = b.CreateNumpyVector(np.zeros(flatbuffer.MAX_TABLES + 1, np.uint32))
    b.StartObject(1)
    b.PrependUOffsetTRelativeSlot(0, vector, 0)
    b.Finish(b.EndObject(), file_identifier=b"TFL3")
    with pytest.raises(ModelError, match="more than"):
        flatbuffer.root(bytes(b.Output()), b"TFL3").tables(0)


def test_weights_shared_by_many_layers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_CHECKED", 10)
    weights = Tensor("w", (4, 4), "int8", Q, np.ones((4, 4), np.int8))
    tensors = (Tensor("x", (1, 4), "int8", Q), weights, Tensor("y", (1, 4), "int8", Q))
    node = Node("fully_connected", "d", (0, 1, -1), (2,), attrs(activation="none", keep_num_dims=False))
    assert "share fewer weights" in refusal(writer.write(Graph("g", tensors, (node,), (0,), (2,))))


def test_a_file_of_zeros_is_refused_at_once() -> None:
    zeros = b"\x08\0\0\0TFL3" + bytes(8 << 20)
    assert effort.seconds(lambda: refusal(zeros), enough=1) < 1


# --- paths --------------------------------------------------------------------------------------------------------------


def test_a_path_that_is_no_file_is_a_usage_error(tmp_path: Path) -> None:
    for path, fact in ((tmp_path, "is not a file"), (tmp_path / "none\n", "No such file"), (Path("a\0b"), "not valid")):
        with pytest.raises(UsageError, match=fact) as caught:
            read.load(path)
        assert str(caught.value).isprintable()


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    with pytest.raises(UsageError, match="is not a file"):
        read.load(tmp_path / "pipe.tflite")


def test_an_empty_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    empty, huge = tmp_path / "empty.tflite", tmp_path / "huge.tflite"
    empty.touch()
    with huge.open("wb") as file:
        file.truncate(read.MAX_FILE + 1)
    with pytest.raises(ModelError, match=r"empty\.tflite: the file is empty"):
        read.load(empty)
    with pytest.raises(UnsupportedError, match="the limit is"):
        read.load(huge)


def test_the_graph_is_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "my_model.tflite").write_bytes(FILE)
    assert read.load(tmp_path / "my_model.tflite").name == "my_model"


@pytest.mark.parametrize("name", ["hello_world_float", "kws_ref_model_float32", "pretrainedResnet", "vww_96_float", "ad01_fp32"])
def test_float_models_of_others_get_one_line(name: str) -> None:
    if not (MODELS / f"{name}.tflite").is_file():
        pytest.skip(f"no {name} in {MODELS}; name the folder in SANDGRAIN_MODELS")
    with pytest.raises(UnsupportedError, match=r"(float model|dynamic range\)); quantize it to int8"):
        read.load(MODELS / f"{name}.tflite")
