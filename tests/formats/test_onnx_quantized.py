"""ONNX models that ONNX Runtime has quantized: every scale and every weight stays, and the answers are ONNX Runtime's."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.draws import rare

onnx = pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, the oracle of these tests")
from onnx import helper, numpy_helper  # noqa: E402
from onnxruntime import quantization as ort  # noqa: E402

from sandgrain.base.errors import UnsupportedError  # noqa: E402
from sandgrain.graph import interpret, rules  # noqa: E402
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs  # noqa: E402
from sandgrain.graph.quantization import Quantization, dequantize, per_tensor  # noqa: E402
from sandgrain.quantization.keep import keep  # noqa: E402
from tests.support.import_proof import prove, snr  # noqa: E402
from tests.support.integers import to_int8  # noqa: E402
from tests.support.onnx_builder import Net, convert, laid_out, qdq, runtime  # noqa: E402
from tests.support.onnx_models import MODELS  # noqa: E402

FORMATS = {"qdq": ort.QuantFormat.QDQ, "qoperator": ort.QuantFormat.QOperator}
TYPES = {"int8": ort.QuantType.QInt8, "uint8": ort.QuantType.QUInt8}


class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, samples: Array) -> None:
        self.rows = iter([{"x": samples[k : k + 1]} for k in range(len(samples))])

    def get_next(self) -> Any:
        return next(self.rows, None)


def by_runtime(model: Any, samples: Array, folder: Path, how: str, activation: str, per_channel: bool, **extra: Any) -> Any:
    """`model` quantized by ONNX Runtime."""
    onnx.save(model, folder / "m.onnx")
    logging.disable(logging.WARNING)
    try:
        ort.quantize_static(
            folder / "m.onnx",
            folder / "q.onnx",
            Reader(samples),
            quant_format=FORMATS[how],
            per_channel=per_channel,
            activation_type=TYPES[activation],
            weight_type=ort.QuantType.QInt8,
            extra_options=extra,
        )
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(folder / "q.onnx")


def mixed(opset: int = 17) -> Any:
    """Every way in which scales meet: a sum, pools, a concatenation of two scales, a sigmoid, a softmax."""
    net = Net(1, 3, 12, 12, opset=opset)
    y = net.op("Relu", net.conv("x", 3, 8, strides=[2, 2]))
    y = net.op("Add", y, net.op("Clip", net.conv(y, 8, 8, group=8), net.constant(0), net.constant(6)))
    parts = [net.op(kind, y, kernel_shape=[2, 2], strides=[2, 2]) for kind in ("MaxPool", "AveragePool")]
    y = net.op("Mul", net.op("Concat", *parts, axis=1), net.op("Sigmoid", net.conv(net.op("Concat", *parts, axis=1), 16, 16, 1)))
    y = net.op("Flatten", net.op("GlobalAveragePool", y))
    return net.model(net.op("Softmax", net.dense(y, 16, 10)))


def constants(model: Any) -> dict[str, Array]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def activation_scales(model: Any) -> set[Quantization]:
    """Of all values that are computed, as int8."""
    known, found = constants(model), set()
    pairs: list[Sequence[str]] = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            pairs.append(node.input[1:3])
        elif node.op_type in ("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"):
            pairs += [node.input[1:3], node.input[6:8]]
        elif node.op_type == "QGemm":
            pairs += [node.input[1:3], node.input[7:9]]
    for scale, zero in pairs:
        shift = 128 if known[zero].dtype == np.uint8 else 0
        found.add(per_tensor(float(known[scale]), int(known[zero]) - shift))
    return found


def weights(model: Any) -> dict[bytes, set[float]]:
    """Sorted int8 weights -> their scales."""
    known, found = constants(model), {}
    for node in model.graph.node:
        first = {"DequantizeLinear": 0, "QLinearConv": 3, "QGemm": 3, "QLinearMatMul": 3}.get(node.op_type)
        if first is not None and node.input[first] in known and known[node.input[first]].ndim > 1:
            data, scale = (known[n] for n in node.input[first : first + 2])
            found[np.sort(data.reshape(-1)).tobytes()] = set(scale.reshape(-1).tolist())
    return found


def run(graph: Graph, samples: Array) -> Array:
    """What the int8 graph computes, as real numbers."""
    quant_in, quant_out = (graph.tensors[i[0]].quant for i in (graph.inputs, graph.outputs))
    assert quant_in is not None and quant_out is not None
    stack = [to_int8(x, quant_in) for x in laid_out(samples, graph, graph.inputs[0])]
    return np.stack([dequantize(interpret.run(graph, [x])[0], quant_out) for x in stack])


@rare
@pytest.mark.parametrize(("how", "activation", "per_channel"), [*itertools.product(FORMATS, TYPES, (True, False))])
def test_every_scale_and_weight_stays(how: str, activation: str, per_channel: bool, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).normal(size=(12, 3, 12, 12)).astype(np.float32)
    model = mixed()
    quantized = by_runtime(model, samples, tmp_path, how, activation, per_channel)
    graph = convert(quantized)
    held = {t.quant for t in graph.tensors if t.quant is not None and t.data is None}
    assert activation_scales(quantized) <= held
    ours = {
        np.sort(t.data.reshape(-1)).tobytes(): set(t.quant.scale)
        for t in graph.tensors
        if t.dtype == "int8" and t.data is not None and t.data.ndim > 1 and t.quant is not None
    }
    assert ours == weights(quantized)
    wanted, got = runtime(quantized, samples)[0], run(graph, samples)
    step = graph.tensors[graph.outputs[0]].scale
    apart = np.abs(got.reshape(wanted.shape) - wanted) / step
    assert (apart < 1.01).mean() > 0.99 and apart.max() < 2.01
    assert snr(runtime(model, samples)[0].reshape(12, -1), got.reshape(12, -1)) > 30


# The share of outputs within one step of ONNX Runtime's, which computes with floats between the layers: a step of difference in one
# layer is several in the next where its scale is finer. Before the sigmoid of the U-Net one step is 2.6 of those behind it.
QUANTIZED = {"resnet8": 0.9, "cnn1d": 0.9, "autoencoder": 0.85, "unet": 0.4, "detector": 0.85, "ds_cnn": 0.9}


@rare
@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("how", FORMATS)
def test_a_quantized_model_answers_like_onnx_runtime(name: str, how: str, tmp_path: Path) -> None:
    model, samples = MODELS[name].model(), MODELS[name].samples()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnx.save(model, tmp_path / "raw.onnx")
    quant_pre_process(tmp_path / "raw.onnx", tmp_path / "folded.onnx")
    quantized = by_runtime(onnx.load(tmp_path / "folded.onnx"), samples, tmp_path, how, "int8", True)
    graph = convert(quantized)
    for k, index in enumerate(graph.outputs):
        wanted = runtime(quantized, samples)[k]
        quant = graph.tensors[index].quant
        assert quant is not None
        stack = [to_int8(x, graph.tensors[graph.inputs[0]].quant) for x in laid_out(samples, graph, graph.inputs[0])]  # type: ignore[arg-type]
        got = np.stack([dequantize(interpret.run(graph, [x])[k], quant) for x in stack])
        wanted = laid_out(wanted[:, 0], graph, index) if graph.turned(index) else wanted
        apart = np.abs(got.reshape(wanted.shape) - wanted) / quant.scale[0]
        assert (apart < 1.01).mean() > QUANTIZED[name] and snr(wanted, got.reshape(wanted.shape)) > 25


@rare
def test_a_quantized_model_is_the_same_on_the_core(tmp_path: Path) -> None:
    model, samples = mixed(), np.random.default_rng(1).normal(size=(12, 3, 12, 12)).astype(np.float32)
    graph = convert(by_runtime(model, samples, tmp_path, "qdq", "uint8", True))
    wanted = runtime(model, samples)
    assert prove(graph, [laid_out(samples, graph, graph.inputs[0])], wanted) > 30


# --- small models written by hand --------------------------------------------------------------------------------------


def test_a_value_that_is_quantized_twice_keeps_both_scales() -> None:
    net = Net(1, 4)
    y = qdq(net, net.op("Relu", qdq(net, "x", 0.5)), 0.25)
    graph = convert(net.model(qdq(net, qdq(net, y, 0.125, 3), 0.25)))
    assert [n.op for n in graph.nodes] == ["relu", "quantize", "quantize"]
    assert [graph.tensors[n.outputs[0]].scale for n in graph.nodes] == [0.25, 0.125, 0.25]


def test_a_batch_norm_behind_quantized_weights_keeps_their_integers() -> None:
    net = Net(1, 3, 5, 5)
    data = net.rng.integers(-127, 128, (4, 3, 1, 1)).astype(np.int8)
    scale = np.array([0.1, 0.2, 0.3, 0.4])
    kernel = net.op(
        "DequantizeLinear", net.constant(data, np.int8), net.constant(scale), net.constant(np.zeros(4), np.int8), axis=0
    )
    y = net.norm(net.op("Conv", qdq(net, "x", 0.05), kernel), 4)
    graph = convert(net.model(qdq(net, y, 0.1)))
    (tensor,) = [t for t in graph.tensors if t.data is not None and t.data.ndim == 4]
    assert tensor.data is not None and np.array_equal(np.abs(tensor.data.reshape(4, 3)), np.abs(data.reshape(4, 3)))


def test_what_cannot_be_kept_is_said() -> None:
    def complaint(net: Net, *outputs: str) -> str:
        with pytest.raises(UnsupportedError) as caught:
            convert(net.model(*outputs))
        return str(caught.value)

    net = Net(1, 4)
    assert "no scale for /gemm" in complaint(net, net.dense(qdq(net, "x", 0.5), 4, 3))
    net = Net(1, 4)
    assert "quantize activations to int8 or uint8" in complaint(net, net.op("Relu", qdq(net, "x", 0.5, 0, np.int16)))
    net = Net(1, 4)
    data = net.constant(net.rng.integers(0, 255, (4, 3)), np.uint8)
    kernel = net.op("DequantizeLinear", data, net.constant(0.1), net.constant(7, np.uint8))
    assert "weights with a zero point; quantize weights symmetrically" in complaint(
        net, net.op("MatMul", qdq(net, "x", 0.5), kernel)
    )
    net = Net(1, 4)
    scale = net.constant(np.full(4, 0.5))
    found = complaint(net, net.op("Relu", net.op("QuantizeLinear", "x", scale, net.constant(np.zeros(4), np.int8), axis=1)))
    assert "quantize activations per tensor" in found
    net = Net(1, 4)
    assert "no positive number" in complaint(net, net.op("Relu", qdq(net, "x", 0.0)))
    net = Net(1, 1, 4, 4)
    x = net.op("QuantizeLinear", "x", net.constant(1), net.constant(0, np.uint8))
    y = net.op("ConvInteger", x, net.constant(np.ones((1, 1, 2, 2)), np.uint8))
    assert "use" not in (found := complaint(net, net.op("Cast", y, to=1))) or "QLinearConv" in found


def test_uint8_weights_around_128_are_int8_weights() -> None:
    net = Net(1, 4)
    data = net.rng.integers(1, 256, (4, 3))
    kernel = net.op("DequantizeLinear", net.constant(data, np.uint8), net.constant(0.1), net.constant(128, np.uint8))
    graph = convert(net.model(qdq(net, net.op("MatMul", qdq(net, "x", 0.5), kernel), 0.25)))
    (tensor,) = [t for t in graph.tensors if t.data is not None and t.data.ndim == 2]
    assert tensor.data is not None and np.array_equal(tensor.data.T, data - 128)


@pytest.mark.parametrize("equation", ["btc,co->bto", "btc,co->tob"])
def test_an_einsum_keeps_the_scales_of_its_weights(equation: str) -> None:
    net = Net(1, 5, 4)
    data, scales = net.rng.integers(-127, 128, (4, 3)), [0.1, 0.2, 0.3]
    kernel = net.op(
        "DequantizeLinear", net.constant(data, np.int8), net.constant(scales), net.constant(np.zeros(3), np.int8), axis=1
    )
    y = qdq(net, net.op("Einsum", qdq(net, "x", 0.05), kernel, equation=equation), 0.25)
    graph = convert(net.model(y))
    (tensor,) = [t for t in graph.tensors if t.data is not None and t.dtype == "int8"]
    assert tensor.data is not None and np.array_equal(tensor.data.reshape(3, 4).T, data)
    assert tensor.quant is not None and np.allclose(tensor.quant.scale, scales)


def test_opset_and_extra_attributes_do_not_matter() -> None:
    """Dequantized outputs of newer opsets name their type."""
    net = Net(1, 4, opset=21)
    s = net.constant(0.5)
    x = net.op(
        "DequantizeLinear", net.op("QuantizeLinear", "x", s, output_dtype=helper.np_dtype_to_tensor_dtype(np.dtype(np.uint8))), s
    )
    graph = convert(net.model(net.op("Relu", x)))
    assert graph.tensors[graph.inputs[0]].quant == per_tensor(0.5, -128)


# --- keep, alone -------------------------------------------------------------------------------------------------------


def small_graph(*nodes: Node, tensors: int, shape: tuple[int, ...] = (1, 4, 4, 2)) -> Graph:
    made = [Tensor(f"t{k}", shape, "float32") for k in range(tensors)]
    graph = Graph("g", tuple(made), nodes, (0,), (tensors - 1,))
    rules.check(graph, "float")
    return graph


POOL = attrs(kernel=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1), activation="none")
A, B = per_tensor(0.5, 0), per_tensor(0.25, 3)


def test_keep_puts_a_quantize_where_a_pool_has_two_scales() -> None:
    graph = keep(small_graph(Node("max_pool_2d", "p", (0,), (1,), POOL), tensors=2), {0: A, 1: B}).graph
    assert [n.op for n in graph.nodes] == ["max_pool_2d", "quantize"]
    assert [graph.tensors[i].quant for i in (graph.inputs[0], graph.outputs[0])] == [A, B]


def test_keep_hands_scales_on_and_bounds_what_has_none() -> None:
    nodes = (
        Node("max_pool_2d", "p", (0,), (1,), POOL),
        Node("tanh", "t", (1,), (2,)),
        Node("add", "a", (1, 2), (3,), attrs(activation="none")),
        Node("relu", "r", (3,), (4,)),
    )
    made = keep(small_graph(*nodes, tensors=5), {0: A})
    assert made.scales[1] == A and made.scales[2] == per_tensor(1 / 128, 0)
    assert made.scales[3].scale[0] == pytest.approx((127.5 + 127 / 128 + 1 - 64 + 64) * 0.5 * 2 / 255, rel=0.02)
    assert made.scales[4].zero_point == (-128,)


def test_keep_names_what_has_no_scale() -> None:
    graph = small_graph(Node("max_pool_2d", "p", (0,), (1,), POOL), tensors=2)
    with pytest.raises(UnsupportedError, match="no scale for t0, t1; quantize the whole model"):
        keep(graph, {})


def test_keep_uses_fixed_scales_where_an_op_has_them() -> None:
    graph = keep(small_graph(Node("logistic", "l", (0,), (1,)), tensors=2), {0: A, 1: B}).graph
    assert [n.op for n in graph.nodes] == ["logistic", "quantize"]
    assert graph.tensors[graph.nodes[0].outputs[0]].quant == per_tensor(1 / 256, -128)
