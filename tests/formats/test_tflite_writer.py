"""The .tflite writer: what it writes is read back as the same graph, and means the same to TensorFlow Lite Micro."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
import pytest

from sandgrain.base.errors import UnsupportedError
from sandgrain.compiler import passes
from sandgrain.formats.tflite import read as reader
from sandgrain.formats.tflite import write as writer
from sandgrain.formats.tflite.flatbuffer import root
from sandgrain.graph import interpret, reals, rules
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import SeededDraw
from tests.support.float_graphs import Net
from tests.support.tflm_oracle import needs_tflm, tflm_run

WRITABLE = [name for name, op in OPS.items() if op.foreign]


@pytest.mark.parametrize("op", WRITABLE)
def test_every_op_is_read_back_as_it_was_written(op: str) -> None:
    for seed in range(10):
        graph = OPS[op].sample(SeededDraw(seed))
        again = reader.read(writer.write(graph), graph.name)
        (node,) = again.nodes
        assert node.op == op
        assert dict(node.attrs) == dict(graph.nodes[0].attrs)
        before, after = graph.view(graph.nodes[0]), again.view(node)
        assert before.outputs[0].quant == after.outputs[0].quant
        # An absent last input may be left out of the file.
        for a, b in zip_longest((*before.inputs, None), (*after.inputs, None)):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                assert (a.shape, a.dtype, a.quant) == (b.shape, b.dtype, b.quant)
                assert a.data is None or (b.data is not None and np.array_equal(a.data, b.data))


@pytest.mark.parametrize("op", WRITABLE)
def test_the_same_graph_gives_the_same_bytes(op: str) -> None:
    first, second = (writer.write(OPS[op].sample(SeededDraw(3))) for _ in range(2))
    assert first == second


def test_constant_data_is_aligned_to_16_bytes() -> None:
    for seed in range(20):
        data = writer.write(OPS["fully_connected"].sample(SeededDraw(seed)))
        buffers = [b._vector(0, 1) for b in root(data, b"TFL3").tables(4)]
        assert buffers[0] == (0, 0)
        assert [start % 16 for start, count in buffers if count] == [0] * (len(buffers) - 1)


def test_layers_of_one_operator_share_its_code() -> None:
    q = per_tensor(0.1, 0)
    tensors = tuple(Tensor(n, (1, 4), "int8", q) for n in "xhy")
    nodes = (Node("relu", "a", (0,), (1,), attrs()), Node("relu", "b", (1,), (2,), attrs()))
    data = writer.write(Graph("g", tensors, nodes, (0,), (2,)))
    assert len(root(data, b"TFL3").tables(1)) == 1
    assert [n.name for n in reader.read(data, "g").nodes] == ["h", "y"]


def test_padding_that_the_format_has_no_code_for_is_a_layer_there_and_none_here() -> None:
    """conv_2d and max_pool_2d with one row and column on each side at stride 2, as PyTorch has them."""
    quant, rng = per_tensor(0.05, 3), np.random.default_rng(0)
    kernel = Tensor(
        "w", (4, 3, 3, 2), "int8", Quantization((0.01,) * 4, (0,) * 4, 0), rng.integers(-127, 128, (4, 3, 3, 2), np.int8)
    )
    bias = Tensor("b", (4,), "int32", Quantization((0.0005,) * 4, (0,) * 4, 0), rng.integers(-500, 500, 4, np.int32))
    tensors = (
        Tensor("x", (1, 8, 8, 2), "int8", quant),
        kernel,
        bias,
        Tensor("c", (1, 4, 4, 4), "int8", quant),
        Tensor("y", (1, 2, 2, 4), "int8", quant),
    )
    window = {"stride": (2, 2), "padding": (1, 1, 1, 1), "activation": "none"}
    nodes = (
        Node("conv_2d", "conv", (0, 1, 2), (3,), attrs(dilation=(1, 1), **window)),
        Node("max_pool_2d", "pool", (3,), (4,), attrs(kernel=(3, 3), **window)),
    )
    graph = Graph("g", tensors, nodes, (0,), (4,))
    rules.check(graph)
    again = reader.read(writer.write(graph), "g")
    assert [n.op for n in again.nodes] == ["pad", "conv_2d", "pad", "max_pool_2d"]
    optimized = passes.optimize(again)
    assert [n.op for n in optimized.nodes] == ["conv_2d", "max_pool_2d"]
    for x in rng.integers(-128, 128, (5, 1, 8, 8, 2), np.int8):
        wanted = interpret.run(graph, [x])[0]
        assert np.array_equal(wanted, interpret.run(again, [x])[0]) and np.array_equal(wanted, interpret.run(optimized, [x])[0])


@needs_tflm
def test_a_max_pool_of_floats_is_padded_with_what_no_value_is_below() -> None:
    net = Net((1, 5, 6, 3))
    graph = net.graph(
        net.node("max_pool_2d", (0,), (1, 3, 3, 3), kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 0), activation="none")
    )
    x = net.samples(4) - 10  # zeros around them would win
    ours = reals.outputs(graph, x)[0]
    theirs = tflm_run(writer.write(graph), [[v] for v in x])
    assert ours.max() < 0
    assert np.array_equal(ours, np.stack([row[0] for row in theirs]))


def test_every_layer_that_the_format_lacks_is_named_at_once() -> None:
    net = Net((1, 4, 8))
    x = net.node("gelu", (0,), (1, 4, 8), approximate=False)
    x = net.node("relu", (x,), (1, 4, 8))
    x = net.node("silu", (x,), (1, 4, 8))
    with pytest.raises(UnsupportedError) as caught:
        writer.write(net.graph(x))
    message = str(caught.value)
    assert "gelu_0 (gelu): .tflite has no gelu; " in message and "silu_2 (silu): " in message
    assert "relu" not in message
