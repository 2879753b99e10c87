"""What each pass makes true, what it leaves alone, and that no pass changes a byte of any output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sandgrain.compiler import passes
from sandgrain.compiler.passes.fold_constants import fold_constants
from sandgrain.compiler.passes.fuse_activations import fuse_activations
from sandgrain.compiler.passes.fuse_pads import fuse_pads
from sandgrain.compiler.passes.merge_reshapes import merge_reshapes
from sandgrain.compiler.passes.remove_dead import remove_dead
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import SeededDraw, random_inputs

Q = per_tensor(0.05, 3)
SHAPE = (1, 4, 4, 2)


def t(name: str, shape: tuple[int, ...] = SHAPE, quant: Quantization = Q, data: np.ndarray | None = None) -> Tensor:
    return Tensor(name, shape, "int8", quant, data)


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def same(before: Graph, after: Graph) -> None:
    """Both graphs are legal and give the same bytes."""
    rules.check(before)
    rules.check(after)
    for seed in range(3):
        inputs = [x[0] for x in random_inputs(before, seed, 1)]
        for a, b in zip(interpret.run(before, inputs), interpret.run(after, inputs), strict=True):
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def conv(name: str, x: int, w: int, y: int, padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Node:
    return Node("conv_2d", name, (x, w), (y,), attrs(stride=(1, 1), dilation=(1, 1), padding=padding, activation="none"))


def weights(k: int = 3) -> Tensor:
    data = np.random.default_rng(0).integers(-127, 128, (2, k, k, 2)).astype(np.int8)
    return Tensor("w", data.shape, "int8", Quantization((0.01, 0.02), (0, 0), 0), data)


def padded_conv(pad_value: int = 3, batch: tuple[int, int] = (0, 0)) -> Graph:
    rows = 4 + 1 + 2
    n = 1 + sum(batch)
    tensors = (t("x"), t("p", (n, rows, 6, 2)), weights(), t("y", (n, rows - 2, 4, 2), per_tensor(0.2, -5)))
    pad = Node("pad", "pad", (0,), (1,), attrs(paddings=(batch, (1, 2), (1, 1), (0, 0)), value=pad_value))
    return Graph("g", tensors, (pad, conv("c", 1, 2, 3)), (0,), (3,))


def test_a_pad_before_a_convolution_becomes_its_padding() -> None:
    graph = padded_conv()
    fused = remove_dead(fuse_pads(graph))
    assert ops(fused) == ["conv_2d"] and fused.nodes[0].attrs["padding"] == (1, 2, 1, 1)
    same(graph, fused)


@pytest.mark.parametrize("graph", [padded_conv(pad_value=0), padded_conv(batch=(1, 0))])
def test_a_pad_that_is_not_the_zero_point_in_space_stays(graph: Graph) -> None:
    assert ops(remove_dead(fuse_pads(graph))) == ["pad", "conv_2d"]


def test_a_pad_that_another_layer_reads_stays() -> None:
    graph = replace(padded_conv(), outputs=(3, 1))
    assert ops(remove_dead(fuse_pads(graph))) == ["pad", "conv_2d"]


def activated(op: str = "relu", out: Quantization | None = None) -> Graph:
    middle = per_tensor(0.2, -5)
    tensors = (t("x"), weights(), t("m", (1, 2, 2, 2), middle), t("y", (1, 2, 2, 2), out or middle))
    return Graph("g", tensors, (conv("c", 0, 1, 2), Node(op, "a", (2,), (3,))), (0,), (3,))


@pytest.mark.parametrize("op", ["relu", "relu6"])
def test_an_activation_becomes_the_clamp_of_its_producer(op: str) -> None:
    graph = activated(op)
    fused = fuse_activations(graph)
    assert ops(fused) == ["conv_2d"]
    low, high = fused.nodes[0].attrs["clamp"]
    assert low == -5 and high == (127 if op == "relu" else 25)
    same(graph, fused)


def test_an_activation_that_also_rescales_stays() -> None:
    assert ops(fuse_activations(activated(out=per_tensor(0.1, -5)))) == ["conv_2d", "relu"]


def test_an_activation_stays_when_its_input_is_read_elsewhere() -> None:
    assert ops(fuse_activations(replace(activated(), outputs=(3, 2)))) == ["conv_2d", "relu"]


def test_activations_in_a_row_become_one_clamp() -> None:
    graph = activated("relu6")
    longer = replace(
        graph, tensors=(*graph.tensors, graph.tensors[3]), nodes=(*graph.nodes, Node("relu", "b", (3,), (4,))), outputs=(4,)
    )
    fused = fuse_activations(longer)
    assert ops(fused) == ["conv_2d"]
    same(longer, fused)


def reshape(name: str, x: int, y: int, shape: tuple[int, ...]) -> Node:
    return Node("reshape", name, (x,), (y,), attrs(shape=shape))


def test_reshapes_in_a_row_become_one_and_one_that_undoes_them_none() -> None:
    tensors = (t("x"), t("a", (1, 32)), t("b", (1, 8, 4)), t("c"), t("y"), t("z", (1, 8, 4)))
    nodes = (
        reshape("1", 0, 1, (1, 32)),
        reshape("2", 1, 2, (1, 8, 4)),
        reshape("3", 2, 3, SHAPE),
        Node("relu", "r", (3,), (4,)),
        Node("relu", "s", (2,), (5,)),
    )
    graph = Graph("g", tensors, nodes, (0,), (4, 5))
    merged = remove_dead(merge_reshapes(graph))
    assert sorted(ops(merged)) == ["relu", "relu", "reshape"]
    same(graph, merged)


def test_a_layer_of_constants_is_computed_once_and_for_all() -> None:
    k = t("k", data=np.arange(32, dtype=np.int8).reshape(SHAPE))
    tensors = (t("x"), k, t("rk"), t("y"))
    graph = Graph(
        "g", tensors, (Node("relu", "r", (1,), (2,)), Node("add", "s", (0, 2), (3,), attrs(activation="none"))), (0,), (3,)
    )
    folded = fold_constants(graph)
    assert ops(folded) == ["add"] and folded.view(folded.nodes[0]).input(1).data is not None
    same(graph, folded)


def test_an_output_is_never_folded_into_a_constant() -> None:
    k = t("k", data=np.zeros(SHAPE, np.int8))
    graph = Graph("g", (t("x"), k, t("y"), t("z")), (Node("relu", "r", (1,), (2,)), Node("relu", "s", (0,), (3,))), (0,), (2, 3))
    assert ops(fold_constants(graph)) == ["relu", "relu"]


def test_a_layer_that_nobody_reads_is_gone_with_its_tensors() -> None:
    graph = Graph(
        "g",
        (t("x"), t("a"), t("b"), t("y")),
        (Node("relu", "a", (0,), (1,)), Node("relu", "b", (1,), (2,)), Node("relu", "y", (0,), (3,))),
        (0,),
        (3,),
    )
    left = remove_dead(graph)
    assert [n.name for n in left.nodes] == ["y"] and {x.name for x in left.tensors} == {"x", "y"}


def test_an_input_that_nobody_reads_stays_an_input() -> None:
    graph = Graph("g", (t("x"), t("unused"), t("y")), (Node("relu", "r", (0,), (2,)),), (0, 1), (2,))
    assert len(passes.optimize(graph).inputs) == 2


@pytest.mark.parametrize("op", OPS)
def test_the_pipeline_changes_no_byte_of_any_op(op: str) -> None:
    for seed in range(10):
        graph = OPS[op].sample(SeededDraw(5000 + seed))
        same(graph, passes.optimize(graph))


@pytest.mark.parametrize("step", passes.PIPELINE, ids=lambda step: step.__name__)
def test_a_pass_does_not_touch_the_graph_it_is_given_and_says_what_it_does(step: passes.Pass) -> None:
    graph = padded_conv()
    before = (graph.tensors, graph.nodes, graph.inputs, graph.outputs, [dict(n.attrs) for n in graph.nodes])
    step(graph)
    assert before == (graph.tensors, graph.nodes, graph.inputs, graph.outputs, [dict(n.attrs) for n in graph.nodes])
    assert step.__doc__ and "before:" in step.__doc__ and "after:" in step.__doc__
