"""The ONNX oracle computes exactly on any processor, also where pairs of products do not fit in 16 bits."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.draws import rare

onnx = pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, the oracle of these tests")
from onnx import numpy_helper  # noqa: E402

from sandgrain.formats.onnx import write as exporter  # noqa: E402
from sandgrain.graph import interpret  # noqa: E402
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs  # noqa: E402
from sandgrain.graph.quantization import Quantization, per_tensor  # noqa: E402
from sandgrain.quantization import quantize  # noqa: E402
from tests.support.float_graphs import small  # noqa: E402
from tests.support.onnx_builder import Net, qdq, runtime  # noqa: E402
from tests.support.onnx_oracle import onnx_run, reals, steps_apart  # noqa: E402

DEPTH, UNITS = 64, 9
LOUD = 255 * 127 * DEPTH  # the largest sum: every pair of its products is twice what 16 bits hold


def extremes(dtype: Any) -> tuple[Array, Array]:
    """Activations [4, DEPTH] of `dtype` and weights [DEPTH, UNITS], int8: at their ends, of both signs, and random."""
    rng, info = np.random.default_rng(0), np.iinfo(dtype)
    x = np.full((4, DEPTH), info.max)
    x[1, ::2], x[2], x[3] = info.min, info.min, rng.choice([info.min, info.max], DEPTH)
    w = np.full((DEPTH, UNITS), 127)
    w[:, 1], w[:, 2] = -127, np.where(np.arange(DEPTH) % 4 < 2, 127, -127)
    w[:, 3:] = rng.choice([-127, 127], (DEPTH, UNITS - 3))
    return x.astype(dtype), w.astype(np.int8)


def product(kind: str, dtype: Any) -> onnx.ModelProto:
    """A product of `extremes`, in float32; `kind`: an operator on integers, or its QDQ form ("qdq MatMul")."""
    zero, step = (128 if dtype == np.uint8 else 0), LOUD / 127
    w = extremes(dtype)[1]
    net = Net(1, DEPTH, 1, 1) if kind.endswith("Conv") else Net(1, DEPTH)
    if kind.endswith("Conv"):
        w = w.T.reshape(UNITS, DEPTH, 1, 1)
    one, out, zero_in, zero_w = net.constant(1), net.constant(step), net.constant(zero, dtype), net.constant(0, np.int8)
    weights = net.constant(w, np.int8)
    if kind.startswith("qdq"):
        floats = net.op("DequantizeLinear", weights, one, zero_w)
        return net.model(qdq(net, net.op(kind.split()[1], qdq(net, "x", 1, zero, dtype), floats), step, zero, dtype))
    x = net.op("QuantizeLinear", "x", one, zero_in)
    if kind.endswith("Integer"):
        return net.model(net.op("Cast", net.op(kind, x, weights, zero_in, zero_w), to=1))
    operands = [x, one, zero_in, weights, one, zero_w]
    if kind == "QGemm":
        made = net.op(kind, *operands, "", out, zero_in, domain="com.microsoft")
    else:
        made = net.op(kind, *operands, out, zero_in)
    return net.model(net.op("DequantizeLinear", made, out, zero_in))


KINDS = ["QLinearConv", "QLinearMatMul", "QGemm", "qdq MatMul", "qdq Conv"]


@pytest.mark.parametrize(("kind", "dtype"), [*itertools.product(KINDS, (np.uint8, np.int8)), ("MatMulInteger", np.uint8)])
def test_sums_whose_pairs_leave_16_bits_are_exact(kind: str, dtype: Any) -> None:
    x, w = extremes(dtype)
    centred = x.astype(np.int64) - (128 if dtype == np.uint8 else 0)
    wanted = centred @ w.astype(np.int64)
    shape = (4, DEPTH, 1, 1) if kind.endswith("Conv") else (4, DEPTH)
    got = runtime(product(kind, dtype), centred.astype(np.float32).reshape(shape))[0].reshape(4, UNITS)
    if kind == "MatMulInteger":
        assert np.array_equal(got, wanted)
        return
    step, zero = np.float32(LOUD / 127), 128 if dtype == np.uint8 else 0
    info = np.iinfo(dtype)
    levels = np.clip(np.rint(wanted / np.float64(step)) + zero, info.min, info.max) - zero
    assert np.array_equal(np.rint(got / step), levels)


def loud_graph() -> Graph:
    """An int8 layer, fully connected, whose weights are those of `extremes`."""
    w = extremes(np.int8)[1].T
    scale = LOUD / 127
    tensors = (
        Tensor("x", (1, DEPTH), "int8", per_tensor(1.0, -128)),
        Tensor("w", w.shape, "int8", Quantization((1.0,) * UNITS, (0,) * UNITS, 0), np.ascontiguousarray(w)),
        Tensor("y", (1, UNITS), "int8", per_tensor(scale, 0)),
    )
    node = Node("fully_connected", "dense", (0, 1), (2,), attrs(activation="none", keep_num_dims=False))
    return Graph("loud", tensors, (node,), (0,), (2,))


def test_an_exported_model_computes_the_same_sums() -> None:
    graph = loud_graph()
    model = exporter.write(graph)
    for x in extremes(np.int8)[0]:
        (ours,), (theirs,) = interpret.run(graph, [x[None]]), onnx_run(model, [reals(x[None], graph.tensors[0])])
        assert steps_apart(theirs, ours, graph.tensors[2]).max() == 0


def test_exported_weights_share_no_initializer_that_the_precise_mode_rewrites() -> None:
    """With a shared one, ONNX Runtime cannot load the model with session.x64quantprecision on a processor that needs it."""
    net, graph = small()
    model = onnx.load_from_string(exporter.write(quantize(graph, [net.samples(30)]).graph))
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weights = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    read = [name for node in model.graph.node for name in node.input]
    integers = [name for n in weights for name in (n.input[0], *n.input[2:])]
    assert sum(len(n.input) == 3 for n in weights) >= 2
    assert [name for name in integers if read.count(name) != 1] == []


@rare
def test_every_session_is_made_by_the_oracle(root: Path) -> None:
    makers = []
    for folder in ("sandgrain", "tests", "bench", "tools", "examples"):
        for path in (root / folder).rglob("*.py"):
            names = {getattr(n, "attr", getattr(n, "id", "")) for n in ast.walk(ast.parse(path.read_text("utf-8")))}
            makers += [path.relative_to(root).as_posix()] if "InferenceSession" in names else []
    assert makers == ["tests/support/onnx_oracle.py"]
