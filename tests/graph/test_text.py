"""Text of graphs: stable, readable, and back."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.graph import rules
from sandgrain.graph import text as printer
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import SeededDraw


def small() -> Graph:
    weights = np.array([[1, 2], [3, 4]], np.int8)
    tensors = (
        Tensor("x", (1, 2), "int8", per_tensor(0.5, 3)),
        Tensor("w", (2, 2), "int8", Quantization((0.25, 0.5), (0, 0), 0), weights),
        Tensor("y", (1, 2), "int8", per_tensor(1.0, -1)),
    )
    node = Node("fully_connected", "dense", (0, 1, -1), (2,), attrs(activation="relu", clamp=(-1, 5)))
    return Graph("tiny", tensors, (node,), (0,), (2,), ("cat", "dog"))


def test_the_text_reads_like_this() -> None:
    lines = printer.dump(small()).splitlines()
    assert lines[:5] == ['graph "tiny"', 'label "cat"', 'label "dog"', "input %0", "output %2"]
    assert lines[5] == 'tensor %0 int8 [1, 2] "x" {"scale": [0.5], "zero_point": [3]}'
    assert lines[6].startswith('tensor %1 int8 [2, 2] "w" {"scale": [0.25, 0.5], "zero_point": [0, 0], "axis": 0} data sha256:')
    assert lines[8] == '%2 = fully_connected %0, %1, none "dense" {"activation": "relu", "clamp": [-1, 5]}'
    assert len(lines) == 9


@pytest.mark.parametrize("op", OPS)
def test_every_op_comes_back_from_its_text(op: str) -> None:
    for seed in range(5):
        graph = OPS[op].sample(SeededDraw(seed))
        text = printer.dump(graph, data=True)
        again = printer.parse(text)
        rules.check(again)
        assert printer.dump(again, data=True) == text
        for a, b in zip(graph.nodes, again.nodes, strict=True):
            plain = {k: v for k, v in a.attrs.items() if not isinstance(v, Graph)}  # graphs within were compared as text
            assert plain == {k: b.attrs[k] for k in plain}
            assert a.attrs.keys() == b.attrs.keys()
        for t, u in zip(graph.tensors, again.tensors, strict=True):
            assert t.quant == u.quant
            assert t.data is None or (u.data is not None and u.data.dtype == t.data.dtype and np.array_equal(t.data, u.data))


@pytest.mark.parametrize("name", ['a"b', "a\nb", " data base64:AAAA", "%0 = relu", "naïve ☃", "", 'x" data sha256:00'])
def test_names_cannot_break_the_text(name: str) -> None:
    tensors = (Tensor(name, (4,), "int8", per_tensor(0.5, 3)), Tensor(name, (4,), "int8", per_tensor(0.5, 3)))
    graph = Graph(name, tensors, (Node("relu", name, (0,), (1,), attrs()),), (0,), (1,), (name,))
    again = printer.parse(printer.dump(graph))
    assert (again.name, again.nodes[0].name, again.tensors[0].name, again.labels) == (name, name, name, (name,))
    assert again.tensors[0].quant == graph.tensors[0].quant


def test_arrays_in_attributes_come_back() -> None:
    table = np.arange(256, dtype=np.int8)
    tensors = (Tensor("x", (4,), "int8"), Tensor("y", (4,), "int8"))
    graph = Graph("g", tensors, (Node("relu", "n", (0,), (1,), attrs(table=table, k=np.int32(3))),), (0,), (1,))
    found = printer.parse(printer.dump(graph)).nodes[0].attrs
    assert found["table"].dtype == np.int8
    assert np.array_equal(found["table"], table)
    assert found["k"] == 3


def test_a_hash_is_not_data() -> None:
    with pytest.raises(ModelError, match=r"^line 7: constants are only a hash; "):
        printer.parse(printer.dump(small()))


@pytest.mark.parametrize("line", ["nonsense", "tensor %0 int9 [1]", 'tensor %0 int8 [1, "x"', "%0 = relu {", 'graph "x'])
def test_a_line_that_is_no_graph_is_named(line: str) -> None:
    with pytest.raises(ModelError, match=r"^line 2: "):
        printer.parse(f'graph "g"\n{line}\n')
