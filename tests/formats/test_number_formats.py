"""What a graph computes with is read from its types: a broken int8 graph is told what is broken, not to be quantized."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import ModelError, UnsupportedError, UsageError
from sandgrain.formats import sources, text
from sandgrain.graph.dtypes import FLOAT32, INT16
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import per_tensor
from sandgrain.graph.text import dump
from tests.support.draws import SeededDraw


def _deeper(graph: Graph) -> Graph:
    """`graph`, its input one channel deeper than its weights."""
    at = graph.inputs[0]
    x = graph.tensors[at]
    wrong = replace(x, shape=(*x.shape[:-1], x.shape[-1] + 1))
    return replace(graph, tensors=tuple(wrong if k == at else t for k, t in enumerate(graph.tensors)))


def _unary(op: str, x: Tensor, y: Tensor) -> Graph:
    return Graph("g", (x, y), (Node(op, "only", (0,), (1,), attrs()),), (0,), (1,))


def compiled(graph: Graph, **options: Any) -> sandgrain.Result:
    return sandgrain.compile(graph, target="host", measure=False, **options)


def test_an_int8_graph_with_a_wrong_depth_is_told_so() -> None:
    wrong = _deeper(OPS["conv_2d"].sample(SeededDraw(1)))
    assert not sources.is_float(wrong)
    with pytest.raises(ModelError, match=r"^(conv_2d|g): layer 0 conv_2d \(conv_2d\): ") as caught:
        compiled(wrong)
    assert "float" not in str(caught.value) and "calibration" not in str(caught.value)


def test_an_int16_graph_is_told_that_int8_is_needed() -> None:
    x, y = (Tensor(n, (1, 4), INT16, per_tensor(0.5, 0)) for n in "xy")
    with pytest.raises(UnsupportedError, match=r"^(conv_2d|g): layer 0 only \(relu\): int16 tensor where int8 is needed; "):
        compiled(_unary("relu", x, y))


def test_a_float_graph_asks_for_calibration() -> None:
    x, y = (Tensor(n, (1, 4), FLOAT32) for n in "xy")
    with pytest.raises(UsageError, match="computes with floats; give calibration samples"):
        compiled(_unary("relu", x, y))


def test_a_broken_float_graph_is_told_what_is_broken() -> None:
    x, y = Tensor("x", (1, 4), FLOAT32), Tensor("y", (1, 5), FLOAT32)
    with pytest.raises(ModelError, match=r"^(conv_2d|g): layer 0 only \(relu\): computes the shape \[1, 4\]"):
        compiled(_unary("relu", x, y), calibration=np.zeros((2, 4), np.float32))


def test_a_graph_that_only_moves_floats_is_compiled_as_it_is() -> None:
    x, y = Tensor("x", (2, 3), FLOAT32), Tensor("y", (3, 2), FLOAT32)
    graph = replace(_unary("reshape", x, y), nodes=(Node("reshape", "only", (0,), (1,), attrs(shape=(3, 2))),))
    brought = text.read_any(text.write_any(graph), "m")
    assert not sources.is_float(graph) and dump(brought) == dump(graph).replace('"g"', '"m"').replace('"only"', '"y"')


@pytest.mark.parametrize("change", ["op", "index"])
def test_a_graph_without_sense_is_left_to_the_rules(change: str) -> None:
    x, y = (Tensor(n, (1, 4), FLOAT32) for n in "xy")
    graph = _unary("relu", x, y)
    node = replace(graph.nodes[0], op="nope") if change == "op" else replace(graph.nodes[0], inputs=(9,))
    with pytest.raises(ModelError, match=r"unknown op nope|names tensors"):
        compiled(replace(graph, nodes=(node,)))


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_of_integers_is_no_float_graph(name: str) -> None:
    for seed in range(3):
        graph = OPS[name].sample(SeededDraw(seed))
        assert not sources.is_float(graph), seed
