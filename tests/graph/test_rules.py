"""What a legal graph is, and that each rule is kept by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import SeededDraw, rare

Q = per_tensor(0.1, 0)


def two_relus() -> Graph:
    """x -> relu -> h -> relu -> y."""
    x, h, y = (Tensor(name, (1, 4), "int8", Q) for name in "xhy")
    nodes = (Node("relu", "first", (0,), (1,), attrs()), Node("relu", "second", (1,), (2,), attrs()))
    return Graph("two", (x, h, y), nodes, (0,), (2,))


def with_tensor(index: int, tensor: Tensor) -> Graph:
    graph = two_relus()
    tensors = list(graph.tensors)
    tensors[index] = tensor
    return replace(graph, tensors=tuple(tensors))


@rare
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("seed", range(5))
def test_samples_of_every_op_are_legal(op: str, seed: int) -> None:
    rules.check(OPS[op].sample(SeededDraw(seed)))


def test_a_chain_is_legal_at_every_stage() -> None:
    for stage in rules.STAGES:
        rules.check(two_relus(), stage)


TURNED = tuple(reversed(two_relus().nodes))
TWICE = (two_relus().nodes[0], Node("relu", "again", (0,), (1,), attrs()))
CONSTANT = Tensor("c", (1, 4), "int8", Q, np.zeros((1, 4), np.int8))

BROKEN: dict[str, tuple[Graph, str]] = {
    "order": (replace(two_relus(), nodes=TURNED), "before it is computed"),
    "two producers": (replace(two_relus(), nodes=TWICE, outputs=(1,)), "already has a value"),
    "writes an input": (
        replace(two_relus(), nodes=(Node("relu", "n", (0,), (0,), attrs()),), outputs=(0,)),
        "already has a value",
    ),
    "writes a constant": (with_tensor(1, CONSTANT), "already has a value"),
    "constant input": (with_tensor(0, CONSTANT), "is a constant"),
    "index too large": (replace(two_relus(), nodes=(Node("relu", "n", (3,), (1,), attrs()),)), "names tensors"),
    "negative output": (replace(two_relus(), nodes=(Node("relu", "n", (0,), (-1,), attrs()),)), "names tensors"),
    "no output of a node": (replace(two_relus(), nodes=(Node("relu", "n", (0,), (), attrs()),)), "names tensors"),
    "an activation that nobody computes": (
        replace(two_relus(), nodes=(Node("relu", "first", (0,), (1,), attrs(activation="relu6")), two_relus().nodes[1])),
        "does not compute",
    ),
    "unknown op": (replace(two_relus(), nodes=(Node("nope", "n", (0,), (2,), attrs()),)), "unknown op nope"),
    "output not computed": (replace(two_relus(), outputs=(0,)), "not computed"),
    "output twice": (replace(two_relus(), outputs=(2, 2)), "not different"),
    "no graph input": (replace(two_relus(), inputs=()), "no input"),
    "no graph output": (replace(two_relus(), outputs=()), "no output"),
    "other shape": (with_tensor(2, Tensor("y", (2, 2), "int8", Q)), "layer 1 second (relu): computes the shape [1, 4]"),
    "empty shape": (with_tensor(0, Tensor("x", (0, 4), "int8", Q)), "holds no element"),
    "data of another dtype": (with_tensor(0, replace(CONSTANT, data=np.zeros((1, 4), np.int32))), "data is int32"),
    "data of another shape": (with_tensor(0, replace(CONSTANT, data=np.zeros(4, np.int8))), "data is int8 [4]"),
    "zero scale": (with_tensor(0, Tensor("x", (1, 4), "int8", Quantization((0.0,), (0,)))), "not a positive number"),
    "nan scale": (with_tensor(0, Tensor("x", (1, 4), "int8", Quantization((float("nan"),), (0,)))), "not a positive number"),
    "zero point": (with_tensor(0, Tensor("x", (1, 4), "int8", Quantization((1.0,), (128,)))), "outside int8"),
    "quantization lengths": (with_tensor(0, Tensor("x", (1, 4), "int8", Quantization((1.0,), ()))), "1 scales and 0 zero points"),
    "axis": (with_tensor(0, Tensor("x", (1, 4), "int8", Quantization((1.0,) * 4, (0,) * 4, 2))), "along axis 2"),
    "per channel at run time": (
        with_tensor(0, Tensor("x", (1, 4), "int8", Quantization((1.0,) * 4, (0,) * 4, 1))),
        "at run time",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_graph_is_refused_in_one_line(name: str) -> None:
    graph, fact = BROKEN[name]
    with pytest.raises(ModelError) as caught:
        rules.check(graph)
    assert fact in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_tensor_that_nothing_names_is_illegal_once_optimized() -> None:
    graph = two_relus()
    idle = replace(graph, tensors=(*graph.tensors, CONSTANT))
    rules.check(idle, "imported")
    with pytest.raises(ModelError, match="tensor 3 c is used by nothing"):
        rules.check(idle, "optimized")


def test_what_an_op_does_not_support_stays_an_unsupported_error() -> None:
    graph = with_tensor(1, Tensor("h", (1, 4), "float32"))
    with pytest.raises(UnsupportedError, match=r"^layer 0 first \(relu\): "):
        rules.check(graph)


def test_a_slip_of_an_op_becomes_one_line() -> None:
    line = r"^layer 7: an error inside Sandgrain \(ZeroDivisionError two lines\); please report it with the model$"
    with pytest.raises(ModelError, match=line), rules.located("layer 7"):
        raise ZeroDivisionError("two\nlines")
