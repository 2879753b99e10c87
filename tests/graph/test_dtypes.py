"""Data types as values: a type that nobody but this file knows passes through tensors, text, plans and tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.tables import Tables
from sandgrain.compiler.plan import plan
from sandgrain.graph import rules
from sandgrain.graph import text as printer
from sandgrain.graph.dtypes import DTYPES, FLOAT32, INT8, INT16, Array, DType, Packing, dtype_of
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import ACTIVATIONS, activation_range, dequantize, per_tensor, quantize
from tests.support.draws import SeededDraw


def _pack_nibbles(values: Array) -> bytes:
    even = np.append(values, np.zeros(values.size % 2, values.dtype)).astype(np.uint8)
    return bytes((even[0::2] & 15) | (even[1::2] << 4))


def _unpack_nibbles(data: bytes, count: int) -> Array:
    pairs = np.frombuffer(data, np.uint8)
    nibbles = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(-1)[:count].astype(np.int8)
    return ((nibbles + 8) % 16 - 8).astype(np.int8)


INT4 = DType("int4", 4, -8, 7, "uint8_t", np.dtype(np.int8), Packing(_pack_nibbles, _unpack_nibbles))


@pytest.fixture
def int4(monkeypatch: pytest.MonkeyPatch) -> DType:
    monkeypatch.setitem(DTYPES, "int4", INT4)
    return INT4


@pytest.mark.parametrize("kind", DTYPES.values(), ids=str)
def test_a_type_is_its_name(kind: DType) -> None:
    assert kind == kind.name and kind in {kind.name: 0} and f"{kind}" == kind.name
    assert dtype_of(kind.name) is kind and dtype_of(kind) is kind
    assert kind != "int3" and kind != (INT16 if kind == INT8 else INT8)


@pytest.mark.parametrize("kind", DTYPES.values(), ids=str)
def test_every_type_packs_as_its_numpy_type_does(kind: DType) -> None:
    values = np.array([[0, 1, 2], [100, 101, 102]], kind.numpy)
    assert kind.pack(values) == values.astype(kind.numpy.newbyteorder("<")).tobytes()
    back = kind.unpack(kind.pack(values), values.shape)
    assert back.dtype == kind.numpy and np.array_equal(back, values)
    assert kind.nbytes(6) == values.nbytes == 6 * kind.item_bytes and kind.units(6) == 6
    assert kind.stored(values) is values
    if not kind.is_float:
        limits = np.iinfo(kind.numpy)
        assert (kind.low, kind.high) == (limits.min, limits.max)


def test_numpy_takes_a_type_for_that_of_its_elements() -> None:
    assert np.zeros(3, INT4).dtype == np.int8 and np.zeros(3).astype(INT16).dtype == np.int16
    assert np.dtype(np.int16) == INT16 and np.dtype(np.int16) != INT8


def test_an_unknown_name_is_refused_where_a_tensor_is_made() -> None:
    with pytest.raises(ModelError, match=r"^unknown dtype int3; use int8, "):
        Tensor("x", (1, 4), "int3")


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9])
def test_four_bits_round_up_to_whole_bytes_per_tensor(count: int) -> None:
    rng = np.random.default_rng(count)
    values = rng.integers(-8, 7, count, dtype=np.int8, endpoint=True)
    tensor = Tensor("w", (count,), INT4, per_tensor(0.5, 0), values)
    assert tensor.nbytes == tensor.units == (count + 1) // 2 == len(INT4.pack(values))
    assert np.array_equal(INT4.unpack(INT4.pack(values), (count,)), values)


def test_too_few_bytes_are_no_tensor() -> None:
    with pytest.raises(ValueError, match=r"^1 bytes of data, int4 \[3\] needs 2$"):
        INT4.unpack(b"\0", (3,))


def test_a_constant_of_four_bits_goes_to_text_and_back(int4: DType) -> None:
    values = np.array([[-8, 7, 3], [1, -1, 0]], np.int8)
    graph = _reshaped(Tensor("x", (2, 3), int4, per_tensor(0.5, 1), values))
    text = printer.dump(graph, data=True)
    assert 'tensor %0 int4 [2, 3] "x"' in text and text.count("base64:") == 1
    again = printer.parse(text)
    assert again.tensors[0].dtype is int4 and np.array_equal(again.tensors[0].data, values)
    assert printer.dump(again, data=True) == text
    assert printer.dump(again) == printer.dump(graph)


def test_the_text_of_an_unknown_type_is_refused(int4: DType, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printer.dump(_reshaped(Tensor("x", (2, 3), int4, per_tensor(0.5, 1))), data=True)
    monkeypatch.delitem(DTYPES, "int4")
    with pytest.raises(ModelError, match="unknown dtype int4"):
        printer.parse(text)


def _reshaped(x: Tensor) -> Graph:
    """A graph that looks at `x` in another shape: the one op that takes any type."""
    y = Tensor("y", (x.size,), x.dtype, x.quant)
    return Graph("g", (x, y), (Node("reshape", "flat", (0,), (1,), attrs(shape=(x.size,))),), (0,), (1,))


@pytest.mark.parametrize(("kind", "size", "arena"), [(INT4, 9, 8), (INT8, 9, 12), (INT16, 9, 20), (FLOAT32, 9, 36)], ids=str)
def test_the_planner_counts_bits(kind: DType, size: int, arena: int) -> None:
    graph = _reshaped(Tensor("x", (3, size // 3), kind, None if kind.is_float else per_tensor(0.5, 0)))
    rules.check(graph)
    assert plan(graph, ()).arena_bytes == arena


def test_the_c_table_of_four_bits_holds_bytes_that_two_elements_share() -> None:
    tables = Tables("m")
    name = tables.name(INT4.stored(np.array([1, -1, 7], np.int8)), "w")
    assert tables.text() == f"static const {INT4.c_type} {name}[2] = {{\n    241, 7,\n}};\n" and tables.nbytes == 2


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32])
def test_a_table_has_the_c_type_of_its_array(kind: type) -> None:
    assert f"static const {np.dtype(kind).name.replace('float32', 'float')}" in ctext.table("t", np.zeros(1, kind))


@pytest.mark.parametrize("name", ["transpose", "pad", "split", "gather", "strided_slice", "concatenation"])
def test_an_op_that_moves_elements_refuses_those_that_share_bytes(name: str) -> None:
    samples = (OPS[name].sample(SeededDraw(seed)) for seed in range(50))
    graph = next(g for g in samples if g.tensors[g.nodes[0].inputs[0]].dtype == INT8)
    narrow = replace(graph, tensors=tuple(_narrowed(t) if t.dtype == INT8 else t for t in graph.tensors))
    with pytest.raises(UnsupportedError, match="int4"):
        rules.check(narrow)


def _narrowed(tensor: Tensor) -> Tensor:
    data = None if tensor.data is None else tensor.data % 8
    return Tensor(tensor.name, tensor.shape, INT4, per_tensor(1.0, 0), data)


@pytest.mark.parametrize("kind", [INT4, INT8, INT16], ids=str)
def test_levels_and_clamps_are_those_of_the_type(kind: DType) -> None:
    q = per_tensor(1.0, 1)
    real = np.array([-1e9, -2.5, -0.5, 0.0, 2.5, 1e9, np.nan], np.float32)
    levels = quantize(real, q, kind)
    assert levels.dtype == kind.numpy and levels.tolist() == [kind.low, -2, 0, 1, 4, kind.high, 1]
    assert dequantize(levels[1:5], q).tolist() == [-3.0, -1.0, 0.0, 3.0]
    assert activation_range("none", q, kind) == (kind.low, kind.high)
    assert activation_range("relu", q, kind) == (1, kind.high)
    assert activation_range("relu6", q, kind) == (1, min(7, kind.high))
    assert set(ACTIVATIONS) == {"none", "relu", "relu6", "relu_n1_to_1"}
