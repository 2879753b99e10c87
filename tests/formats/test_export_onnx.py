"""ONNX files: each op's form means what Sandgrain computes; layouts cost no more transposes than the model's ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.onnx import write as exporter
from sandgrain.formats.tflite import read
from sandgrain.graph import interpret, rules
from sandgrain.graph import reals as floats
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.quantization import quantize
from tests.support.draws import SeededDraw, random_inputs, rare
from tests.support.float_graphs import Net, floated, small
from tests.support.models import graph_of
from tests.support.onnx_oracle import onnx_run, reals, steps_apart
from tests.support.shared_files import shared_model

CASES = 6
NEAR = 0.9995  # share of values within a step: only rounding differs
NEARNESS = {
    "gru": 0.8,
    "lstm": 0.9,  # ONNX keeps the state in floats
    "resize_bilinear": 0.99,  # TensorFlow Lite cuts off where others round
}


def kinds(model: bytes) -> list[str]:
    return [n.op_type for n in onnx.load_from_string(model).graph.node]


@rare
@pytest.mark.parametrize("name", sorted(exporter.FORMS))
def test_int8_forms_are_within_a_step(name: str) -> None:
    near = total = 0
    for seed in range(CASES):
        graph = OPS[name].sample(SeededDraw(seed))
        inputs = random_inputs(graph, seed, 1)
        try:
            model = exporter.write(graph)
        except UnsupportedError:
            continue  # an option that ONNX has not
        found = onnx_run(model, [reals(x[0], graph.tensors[i]) for x, i in zip(inputs, graph.inputs, strict=True)])
        for ours, theirs, index in zip(interpret.run(graph, [x[0] for x in inputs]), found, graph.outputs, strict=True):
            assert theirs.shape == ours.shape
            apart = steps_apart(theirs, ours, graph.tensors[index])
            near += int((apart <= 1).sum())
            total += apart.size
    assert total and near >= NEARNESS.get(name, NEAR) * total


@pytest.mark.parametrize(
    "name", sorted({n for n, op in OPS.items() if op.has_real} & exporter.FORMS.keys() - {"gather", "quantize"})
)
def test_float_forms_compute_the_same(name: str) -> None:
    compared = 0
    for seed in range(CASES):
        graph = floated(OPS[name].sample(SeededDraw(seed)))
        x = [np.random.default_rng(seed).standard_normal((1, *graph.tensors[i].shape)).astype(np.float32) for i in graph.inputs]
        try:
            rules.check(graph, "float")
            model = exporter.write(graph)
        except UnsupportedError:
            continue
        assert "QuantizeLinear" not in kinds(model)
        for ours, theirs in zip(floats.outputs(graph, x), onnx_run(model, [v[0] for v in x]), strict=True):
            np.testing.assert_allclose(theirs, ours[0], rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(ours).max())))
        compared += 1
    assert compared


def convolutions(channels_first: bool) -> tuple[Net, Graph]:
    """A residual block between two convolutions, pooled and classified."""
    net = Net((1, 8, 8, 4))
    x = net.conv(0, 8, kernel=3)
    y = net.node("add", (x, net.depthwise(x)), (1, 8, 8, 8), activation="relu")
    y = net.node("concatenation", (x, y), (1, 8, 8, 16), axis=3)
    y = net.node(
        "pad",
        (net.node("mul", (y, net.constant(np.linspace(0.5, 1.5, 16))), (1, 8, 8, 16), activation="none"),),
        (1, 9, 8, 16),
        paddings=((0, 0), (1, 0), (0, 0), (0, 0)),
        value=0,
    )
    y = net.node("mean", (net.conv(y, 6),), (1, 6), axes=(1, 2), keep_dims=False)
    graph = net.graph(net.node("softmax", (net.dense(y, 3),), (1, 3), beta=1.0))
    return net, Graph(graph.name, graph.tensors, graph.nodes, graph.inputs, graph.outputs, channels_first=channels_first)


@pytest.mark.parametrize("channels_first", [False, True])
def test_layouts_cost_one_transpose_at_the_input_at_most(channels_first: bool) -> None:
    net, graph = convolutions(channels_first)
    made = quantize(graph, [net.samples(30)]).graph
    model = exporter.write(made)
    assert kinds(model).count("Transpose") == int(not channels_first)
    shape = [d.dim_value for d in onnx.load_from_string(model).graph.input[0].type.tensor_type.shape.dim]
    assert shape == ([1, 4, 8, 8] if channels_first else [1, 8, 8, 4])
    x = net.samples(1)[0]
    given = x.transpose(0, 3, 1, 2) if channels_first else x
    theirs = onnx_run(exporter.write(graph), [given])[0]
    np.testing.assert_allclose(theirs, floats.outputs(graph, x[None])[0][0], rtol=1e-5, atol=1e-6)


def test_weights_stay_integers_with_a_scale_a_channel() -> None:
    net, graph = small()
    made = quantize(graph, [net.samples(30)]).graph
    model = onnx.load_from_string(exporter.write(made))
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    conv = next(n for n in model.graph.node if n.op_type == "Conv")
    makers = {n.output[0]: n for n in model.graph.node}
    weights, bias = makers[conv.input[1]], makers[conv.input[2]]
    view = made.view(made.nodes[0])
    assert weights.op_type == bias.op_type == "DequantizeLinear"
    assert np.array_equal(constants[weights.input[0]], view.const(1).transpose(0, 3, 1, 2))
    assert np.array_equal(constants[bias.input[0]], view.const(2))
    assert constants[weights.input[0]].dtype == np.int8 and constants[bias.input[0]].dtype == np.int32
    assert constants[weights.input[1]].tolist() == list(view.input(1).quant.scale)  # type: ignore[union-attr]
    assert [a.i for a in weights.attribute if a.name == "axis"] == [0]


def test_the_same_graph_gives_the_same_bytes() -> None:
    net, graph = small()
    made = quantize(graph, [net.samples(30)]).graph
    assert exporter.write(made) == exporter.write(made)


def test_every_layer_that_onnx_has_no_form_for_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, graph = small()
    for op in ("conv_2d", "mean"):
        monkeypatch.delitem(exporter.FORMS, op)
    with pytest.raises(UnsupportedError) as caught:
        exporter.write(graph)
    message = str(caught.value)
    assert message.startswith("3 layers cannot be converted: conv_2d_0 (conv_2d): has no form in ONNX; ") and "(mean)" in message


MODELS_OF_OTHERS = ["ad01_int8", "kws_ref_model", "micro_speech_quantized", "pretrainedResnet_quant", "vww_96_int8"]


@pytest.mark.parametrize("name", MODELS_OF_OTHERS)
def test_models_of_others_agree_within_a_step(name: str) -> None:
    graph, rng = read.read(shared_model(name), name), np.random.default_rng(2)
    (tensor,) = (graph.tensors[i] for i in graph.inputs)
    model, apart = exporter.write(graph), []
    for _ in range(3):
        x = rng.integers(-128, 128, tensor.shape).astype(np.int8)
        (ours,), (theirs,) = interpret.run(graph, [x]), onnx_run(model, [reals(x, tensor)])
        apart.append(steps_apart(theirs, ours, graph.tensors[graph.outputs[0]]))
    assert (
        np.concatenate(apart, axis=None) <= 1
    ).mean() >= 0.75  # random inputs put few-class outputs far from where they saturate


@pytest.mark.parametrize("name", MODELS_OF_OTHERS)
def test_models_of_others_come_back_as_the_same_integers(name: str, tmp_path: Path) -> None:
    graph, rng = read.read(shared_model(name), name), np.random.default_rng(3)
    (tmp_path / "model.onnx").write_bytes(exporter.write(graph))
    again = graph_of(tmp_path / "model.onnx", name)
    (given,), (taken,) = ([g.tensors[i] for i in g.inputs] for g in (graph, again))
    assert given.quant == taken.quant
    for _ in range(2):
        x = rng.integers(-128, 128, given.shape).astype(np.int8)
        (ours,), (theirs,) = interpret.run(graph, [x]), interpret.run(again, [x.reshape(taken.shape)])
        assert np.array_equal(ours.reshape(-1), theirs.reshape(-1))
