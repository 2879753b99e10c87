"""Files, patterns, shapes that are computed, and what is said of models that cannot be converted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, the oracle of these tests")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from sandgrain.base.errors import SandgrainError  # noqa: E402
from sandgrain.formats import sources  # noqa: E402
from sandgrain.graph.ir import Graph  # noqa: E402
from tests.support.onnx_builder import Net, agree, convert, runtime  # noqa: E402
from tests.support.onnx_models import MODELS, gelu, layer_norm  # noqa: E402


def ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


def checked(net: Net, *outputs: str) -> list[str]:
    """The ops of a net that agrees with ONNX Runtime."""
    shape = [d.dim_value for d in net.inputs[0].type.tensor_type.shape.dim]
    found = ops(agree(net.model(*outputs), np.random.default_rng(2).normal(size=(2, *shape[1:])).astype(np.float32)))
    return [op for op in found if op != "reshape"]


def complaint(model: Any, **options: Any) -> str:
    """The one line that a model is refused with."""
    with pytest.raises(SandgrainError) as caught:
        sources.load(model, "m", **options)
    text = str(caught.value)
    assert (
        text.isprintable()
        and text.isascii()
        and any(way in text for way in ("use ", "give ", "export ", "convert ", "build ", "copy ", "move ", "leave "))
    )
    return text


# --- patterns ----------------------------------------------------------------------------------------------------------


def test_an_erf_becomes_a_gelu() -> None:
    net = Net(1, 4, 8)
    assert checked(net, gelu(net, net.linear("x", 8, 8)))[-1] == "gelu"
    net = Net(1, 4, 8)
    x = net.linear("x", 8, 8)
    y = net.op("Add", net.constant(1), net.op("Erf", net.op("Mul", x, net.constant(math.sqrt(0.5)))))
    assert checked(net, net.op("Mul", net.op("Mul", net.constant(0.5), x), y))[-1] == "gelu"


@pytest.mark.parametrize("cube", ["Pow", "Mul"])
def test_a_tanh_becomes_a_gelu(cube: str) -> None:
    net = Net(1, 4, 8)
    x = net.linear("x", 8, 8)
    third = net.op("Pow", x, net.constant(3)) if cube == "Pow" else net.op("Mul", x, net.op("Mul", x, x))
    inner = net.op("Mul", net.op("Add", x, net.op("Mul", third, net.constant(0.044715))), net.constant(math.sqrt(2 / math.pi)))
    y = net.op("Mul", net.op("Mul", x, net.constant(0.5)), net.op("Add", net.op("Tanh", inner), net.constant(1)))
    assert checked(net, y)[-1] == "gelu"


@pytest.mark.parametrize("root", ["Div", "Reciprocal"])
def test_parts_become_a_layer_norm(root: str) -> None:
    net = Net(1, 4, 8)
    x = net.linear("x", 8, 8)
    if root == "Div":
        y = layer_norm(net, x, 8)
    else:
        centred = net.op("Sub", x, net.op("ReduceMean", x, axes=[-1]))
        variance = net.op("ReduceMean", net.op("Mul", centred, centred), axes=[-1])
        y = net.op("Mul", centred, net.op("Reciprocal", net.op("Sqrt", net.op("Add", variance, net.constant(1e-5)))))
    assert checked(net, y)[-1] == "layer_norm"


def test_a_product_with_the_tanh_of_a_softplus_becomes_a_mish() -> None:
    for after in (True, False):
        net = Net(1, 3, 5, 5)
        x = net.conv("x", 3, 4)
        gate = net.op("Tanh", net.op("Softplus", x))
        assert checked(net, net.op("Mul", *((x, gate) if after else (gate, x)))) == ["conv_2d", "mish"]


def test_products_with_gates_become_swishes() -> None:
    net = Net(1, 3, 5, 5)
    x = net.conv("x", 3, 4)
    assert checked(net, net.op("Mul", net.op("Sigmoid", x), x)) == ["conv_2d", "silu"]
    net = Net(1, 3, 5, 5)
    x = net.conv("x", 3, 4)
    assert checked(net, net.op("Mul", x, net.op("HardSigmoid", x, alpha=1 / 6))) == ["conv_2d", "hard_swish"]
    for after in (True, False):
        net = Net(1, 3, 5, 5)
        x, six = net.conv("x", 3, 4), net.constant(6)
        gate = net.op("Clip", net.op("Add", x, net.constant(3)), net.constant(0), six)
        y = net.op("Div", net.op("Mul", x, gate), six) if after else net.op("Mul", x, net.op("Div", gate, six))
        assert checked(net, y) == ["conv_2d", "hard_swish"]


def test_a_pattern_with_other_numbers_stays_as_it_is() -> None:
    net = Net(1, 4, 8)
    x = net.linear("x", 8, 8)
    y = net.op("Mul", x, net.op("Clip", net.op("Add", x, net.constant(2)), net.constant(0), net.constant(6)))
    assert "hard_swish" not in checked(net, net.op("Div", y, net.constant(6)))


def test_layers_take_in_what_follows() -> None:
    net = Net(1, 3, 6, 6)
    y = net.op("Mul", net.op("Add", net.conv("x", 3, 4, bias=False), net.constant(np.ones((4, 1, 1)))), net.constant(0.5))
    assert checked(net, net.op("Relu", net.norm(y, 4))) == ["conv_2d"]


# --- shapes ------------------------------------------------------------------------------------------------------------


def test_the_arithmetic_of_shapes_is_folded() -> None:
    net = Net("N", 4, 6)
    x = net.op("Relu", "x")
    shape = net.op("Shape", x)
    n = net.op("Slice", shape, net.ints(0), net.ints(1))
    rest = net.op("ReduceProd", net.op("Slice", shape, net.ints(1), net.ints(9)), axes=[0])
    y = net.op("Reshape", x, net.op("Concat", n, net.op("Mul", rest, net.ints(1)), axis=0))
    twos = net.op("Div", net.op("Cast", net.op("ConstantOfShape", net.ints(2)), to=TensorProto.INT64), net.ints(2))
    z = net.op(
        "Reshape",
        net.op("Sigmoid", x),
        net.op("Where", net.op("Equal", twos, twos), net.op("Concat", n, net.ints(24), axis=0), net.ints(1, 1)),
    )
    graph = convert(net.model(net.op("Add", y, z)))
    assert graph.tensors[graph.outputs[0]].shape == (1, 24)


def test_an_open_axis_needs_an_example() -> None:
    net = Net("batch", 3, "height", "width")
    model = net.model(net.conv("x", 3, 4))
    assert (
        "the open shape [1, 3, height, width]; export the model without dynamic axes, or load it in Python and give example_input"
        in complaint(model)
    )
    graph = sources.load(model, "m", np.zeros((1, 3, 6, 8), np.float32))
    assert graph.tensors[graph.inputs[0]].shape == (1, 6, 8, 3) and graph.channels_first
    assert "its example [1, 4, 6, 8]; give one that fits" in complaint(model, example_input=np.zeros((1, 4, 6, 8)))
    assert "2 example inputs for 1 inputs" in complaint(model, example_input=(np.zeros((1, 3)), np.zeros((1, 3))))


def test_a_larger_batch_is_refused() -> None:
    net = Net(2, 3, 4)
    assert "export the model with a batch of 1" in complaint(net.model(net.op("Relu", "x")))


def test_an_embedding_takes_whole_numbers() -> None:
    net = Net(1, 5)
    net.inputs = [helper.make_tensor_value_info("x", TensorProto.INT64, [1, 5])]
    model = net.model(net.linear(net.op("Gather", net.constant(net.rng.normal(size=(10, 4))), "x"), 4, 3))
    graph = convert(model)
    assert graph.tensors[graph.inputs[0]].dtype == "int32"
    x = np.array([[0, 3, 9, 1, 1]])
    from sandgrain.graph import reals

    (got,) = reals.outputs(graph, x.astype(np.int32)[:, None])
    assert np.abs(got.reshape(5, 3) - runtime(model, x)[0].reshape(5, 3)).max() < 1e-5


# --- files -------------------------------------------------------------------------------------------------------------


def test_a_file_and_a_live_model_are_one_graph(tmp_path: Path) -> None:
    model = MODELS["cnn1d"].model()
    onnx.save(model, tmp_path / "m.onnx")
    from sandgrain.graph.text import dump

    assert dump(sources.load(tmp_path / "m.onnx", "m")) == dump(sources.load(model, "m"))


def test_external_data_is_read_from_the_models_folder(tmp_path: Path) -> None:
    model = MODELS["cnn1d"].model()
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    from sandgrain.graph.text import dump

    assert dump(sources.load(tmp_path / "m.onnx", "m")) == dump(sources.load(MODELS["cnn1d"].model(), "m"))
    (tmp_path / "weights.bin").write_bytes(b"123")
    assert "its external data ends before it is complete" in complaint(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").unlink()
    assert "is no file; copy it beside the model" in complaint(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "place", ["../secret.bin", "{outside}/secret.bin", "link.bin", "/dev/zero", "", "sub/../../secret.bin", "sub"]
)
def test_external_data_outside_the_folder_is_refused(place: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (home / "link.bin").symlink_to(tmp_path / "secret.bin")
    model = MODELS["cnn1d"].model()
    tensor = model.graph.initializer[0]
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place.format(outside=tmp_path)), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    (home / "m.onnx").write_bytes(model.SerializeToString())
    text = complaint(home / "m.onnx")
    assert "outside the model's folder" in text.replace("?", "'") or (place == "sub" and "is no file" in text)
    assert "that has no folder" in complaint(model)


# --- what cannot be converted ------------------------------------------------------------------------------------------


def test_all_that_is_unsupported_is_said_at_once() -> None:
    net = Net(1, 3, 8, 8)
    y = net.op("LRN", net.conv("x", 3, 4), size=3)
    y = net.op("Softsign", net.op("MaxPool", y, kernel_shape=[2, 2], dilations=[2, 2]))
    net.opset = 18
    model = net.model(net.op("Einsum", y, y, equation="nchw,nchw->nchw"))
    text = complaint(model)
    assert text.startswith(
        "4 layers cannot be converted: /lrn1/LRN (LRN): its statistics are computed at run time; use BatchNormalization"
    )
    assert all(
        part in text
        for part in ("(MaxPool): a dilated pool; use dilation 1", "(Softsign): use Tanh", "(Einsum): no sum in the equation")
    )


def test_an_unknown_operator_is_named_with_its_domain() -> None:
    net = Net(1, 3)
    assert "(my.own.Thing): there is no such layer; build the model from others" in complaint(
        net.model(net.op("Thing", "x", domain="my.own"))
    )


def test_branches_and_loops_are_refused() -> None:
    net = Net(1, 3)
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, [1, 3])]
    )
    condition = net.op("Greater", net.op("ReduceSum", "x", keepdims=0), net.constant(0))
    assert "without conditions and loops" in complaint(net.model(net.op("If", condition, then_branch=branch, else_branch=branch)))


@pytest.mark.parametrize(
    ("kind", "attrs", "fact"),
    [
        ("GRU", {"clip": 2.0}, "a clipped recurrent layer"),
        ("LSTM", {"clip": 1.0}, "a clipped recurrent layer"),
        ("LSTM", {"activations": ["Relu", "Tanh", "Tanh"]}, "the activations relu, tanh, tanh; use sigmoid and tanh"),
        ("RNN", {}, "use GRU or LSTM"),
    ],
)
def test_recurrent_layers_of_another_kind_are_refused(kind: str, attrs: dict[str, Any], fact: str) -> None:
    net = Net(4, 1, 2)
    net.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2])]
    rows = {"GRU": 9, "LSTM": 12, "RNN": 3}[kind]
    assert fact in complaint(net.model(net.op(kind, "x", net.weight(1, rows, 2), net.weight(1, rows, 3), hidden_size=3, **attrs)))


def test_old_and_unknown_opsets_say_what_to_do() -> None:
    model = MODELS["autoencoder"].model()
    model.opset_import[0].version = 9
    assert "it uses opset 9, known are 11 to" in complaint(model) and "convert_version" in complaint(model)
    model.opset_import[0].version = 10**6
    assert "an older opset_version" in complaint(model)


def test_functions_of_a_model_are_inlined() -> None:
    net = Net(1, 3)
    model = net.model(net.op("Twice", "x", domain="own"))
    nodes = [helper.make_node("Add", ["a", "a"], ["b"]), helper.make_node("Relu", ["b"], ["c"])]
    imports = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["c"], nodes, imports))
    assert ops(convert(model))[0] == "add"


def test_a_constant_that_does_not_fit_its_shape_is_refused() -> None:
    model = MODELS["autoencoder"].model()
    model.graph.initializer[0].raw_data = bytes(12)
    assert complaint(model)
    model = MODELS["autoencoder"].model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([b"text"], object), model.graph.initializer[0].name))
    assert complaint(model)


def test_sizes_are_bounded_before_anything_is_computed() -> None:
    net = Net(1, 3)
    many = net.op("ConstantOfShape", net.ints(1 << 20, 1 << 20))
    assert "use at most" in complaint(net.model(net.op("Add", "x", many)))
    net = Net(1, 3)
    x = net.op("Add", net.op("Range", *(net.constant(v) for v in (0, 1e12, 1))), net.op("Relu", "x"))
    assert "use at most" in complaint(net.model(x))
    net = Net(1, 1, 4, 4)
    assert "use at most" in complaint(net.model(net.op("Resize", "x", "", net.constant([1, 1, 60000, 60000]))))
    net = Net(1, 1 << 20, 1 << 20)
    assert "at most" in complaint(net.model(net.op("Relu", "x")))


def test_a_model_without_the_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import importlib.util

    (tmp_path / "m.onnx").write_bytes(b"anything")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SandgrainError, match=r"ONNX is not installed; pip install 'sandgrain\[onnx\]'"):
        sources.load(tmp_path / "m.onnx", "m")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model at all")
    assert complaint(tmp_path / "m.onnx").startswith("it is no ONNX model, or damaged; export the model again")
