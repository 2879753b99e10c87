"""What models did to users: entries of the list of cases, by number, each with neighbours of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.api import _bring
from sandgrain.base.errors import ModelError, UnsupportedError, UsageError
from sandgrain.bundle import samples
from sandgrain.compiler.emit import ctext
from sandgrain.formats.tflite.write import write
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import rare

LOWEST = per_tensor(0.1, -128)


def tensor(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, "int8", LOWEST)


# --- 9: views alone ------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 4, 1, 1), (4,)])
def test_09_a_graph_of_views_only_compiles(shape: tuple[int, ...], tmp_path: Path) -> None:
    node = Node("reshape", "r", (0,), (1,), attrs(shape=shape))
    graph = Graph("view", (tensor("x", 1, 4), tensor("y", *shape)), (node,), (0,), (1,))
    made = sandgrain.compile(graph, target="cortex-m4", out=tmp_path / "out", optimize="size" if len(shape) == 1 else "balanced")
    assert made.report.instructions is not None and sandgrain.verify(tmp_path / "out").identical


# --- 14: a layer that the compiler removes --------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("op", ["minimum", "maximum"])
def test_14_a_relu_that_changes_nothing_has_no_code_and_no_key_error(op: str, tmp_path: Path) -> None:
    nodes = (Node(op, "pick", (0, 1), (2,), attrs()), Node("relu", "relu", (2,), (3,)))
    graph = Graph("clamp", (tensor("a", 1, 8), tensor("b", 1, 8), tensor("c", 1, 8), tensor("d", 1, 8)), nodes, (0, 1), (3,))
    made = sandgrain.compile(graph, target="cortex-m4", out=tmp_path / "out")
    assert [layer.instructions for layer in made.report.layers][-1] == 0
    assert sandgrain.verify(tmp_path / "out").identical


# --- 2: samples of another shape -------------------------------------------------------------------------------------------


IMAGE = Graph("net", (tensor("x", 1, 4, 6, 3), tensor("y", 1, 4, 6, 3)), (Node("relu", "r", (0,), (1,)),), (0,), (1,))
TURNED = replace(IMAGE, channels_first=True)


@pytest.mark.parametrize(
    ("graph", "shape", "way"),
    [
        (IMAGE, (5, 3, 4, 6), "x.transpose(0, 2, 3, 1)"),  # channels first for a model that has them last
        (TURNED, (5, 4, 6, 3), "x.transpose(0, 3, 1, 2)"),  # and the other way around
        (IMAGE, (5, 6, 4, 3), "x.transpose(0, 2, 1, 3)"),  # width before height
        (IMAGE, (5, 1, 3, 4, 6), "x.transpose(0, 1, 3, 4, 2)"),  # with its batch of one
        (IMAGE, (5, 72), "x.reshape(5, 4, 6, 3)"),
        (TURNED, (5, 72), "x.reshape(5, 3, 4, 6)"),
        (IMAGE, (5, 2, 12, 3), "x.reshape(5, 4, 6, 3)"),
    ],
)
def test_02_samples_of_another_shape_are_refused_with_the_way_out(
    graph: Graph, shape: tuple[int, ...], way: str, tmp_path: Path
) -> None:
    x = np.zeros(shape, np.float32)
    np.savez(tmp_path / "s.npz", x=x)
    with pytest.raises(UsageError) as in_file:
        samples.load(tmp_path / "s.npz", graph)
    with pytest.raises(UsageError) as in_python:
        _bring.fitted(graph, x)
    for caught in (in_file, in_python):
        assert str(shape) in str(caught.value) and way in str(caught.value) and "\n" not in str(caught.value)
    fixed = eval(way, {"x": x})  # the way out works
    assert _bring.fitted(graph, fixed)[0].shape == (5, 1, 4, 6, 3)


def test_02_calibration_is_held_to_the_same_shapes() -> None:
    floats = tuple(Tensor(t.name, t.shape, "float32") for t in IMAGE.tensors)
    with pytest.raises(UsageError, match=r"x\.transpose\(0, 2, 3, 1\)"):
        _bring.reals(np.zeros((5, 3, 4, 6), np.float32), replace(IMAGE, tensors=floats))


def test_02_axes_of_one_element_may_be_left_out() -> None:
    graph = replace(IMAGE, tensors=(tensor("x", 1, 4, 6, 1), tensor("y", 1, 4, 6, 1)))
    for shape in ((5, 4, 6), (5, 4, 6, 1), (5, 1, 4, 6, 1), (5, 1, 4, 6)):
        assert _bring.fitted(graph, np.zeros(shape, np.float32))[0].shape == (5, 1, 4, 6, 1)


# --- 7: labels ---------------------------------------------------------------------------------------------------------------


SCORES = Graph("net", (tensor("x", 1, 3), tensor("y", 1, 3)), (Node("relu", "r", (0,), (1,)),), (0,), (1,))


def with_labels(data: bytes, folder: Path) -> Any:
    (folder / "labels.txt").write_bytes(data)
    return sandgrain.compile(SCORES, target="cortex-m4", out=folder / "out", labels=folder / "labels.txt", measure=False)


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (b"yes\nno\n", "2 labels, and the model's output has 3 values"),
        (b"a\nb\nc\nd", "4 labels"),
        (b"a\nb\na\n", "labels 1 and 3 are both 'a'"),
        (b"a\n\nb\n", "label 2 is empty"),
        (b"0 a\n1 b\n2 c\n", "begins with its number"),
        (b"1 a\n2 b\n3 c\n", "begins with its number"),
        (b"\n\n", "is empty"),
        (b"", "is empty"),
    ],
)
def test_07_labels_are_checked_against_the_output(data: bytes, fact: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=fact):
        with_labels(data, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"a\nb\nc\n\n", b"\xef\xbb\xbfa\r\nb\r\nc\r\n", b"a \nb\nc\n  \n"])
def test_07_a_blank_last_line_and_a_byte_order_mark_are_no_labels(data: bytes, tmp_path: Path) -> None:
    with_labels(data, tmp_path)
    assert '"a", "b", "c"' in " ".join((tmp_path / "out" / "net.h").read_text().split()) + " ".join(
        (tmp_path / "out" / "net.c").read_text().split()
    )


def test_07_labels_of_an_index_name_what_it_chooses_among(tmp_path: Path) -> None:
    node = Node("arg_max", "best", (0,), (1,), attrs(axis=1))
    graph = Graph("net", (tensor("x", 1, 3), Tensor("y", (1,), "int32")), (node,), (0,), (1,))
    sandgrain.compile(graph, target="cortex-m4", out=tmp_path / "out", labels=("a", "b", "c"), measure=False)
    with pytest.raises(UsageError, match="output has 3 values"):
        sandgrain.compile(graph, target="cortex-m4", out=tmp_path / "two", labels=("a", "b"), measure=False)


# --- 8: what options and constants say against the shapes -----------------------------------------------------------------


@pytest.mark.parametrize("multiplier", [0, 2, 2**31 - 1])
def test_08_a_depth_multiplier_that_the_shapes_do_not_have_is_refused(multiplier: int) -> None:
    op = OPS["depthwise_conv_2d"]
    options = {"depth_multiplier": multiplier, "padding": 1, "stride_h": 1, "stride_w": 1, "fused_activation_function": 0,
               "dilation_h_factor": 1, "dilation_w_factor": 1}  # fmt: skip
    x, w, y = tensor("x", 1, 4, 4, 3), tensor("w", 1, 2, 2, 3), tensor("y", 1, 3, 3, 3)
    with pytest.raises(ModelError, match=f"depth_multiplier {multiplier} for 3 outputs of 3 channels"):
        op.decode("DEPTHWISE_CONV_2D", options, [x, w, None], [y])
    assert op.decode("DEPTHWISE_CONV_2D", {**options, "depth_multiplier": 1}, [x, w], [y]).inputs == (0, 1)


@pytest.mark.parametrize("index", [-1, 5, 999])
def test_08_a_constant_index_outside_its_axis_is_refused(index: int) -> None:
    at = Tensor("at", (2,), "int32", data=np.array([0, index], np.int32))
    node = Node("gather", "g", (0, 1), (2,), attrs(axis=1))
    with pytest.raises(ModelError, match=rf"the constant index {index} of 5"):
        rules.check(Graph("net", (tensor("x", 1, 5), at, tensor("y", 1, 2)), (node,), (0,), (2,)))


@pytest.mark.parametrize("scales", [(3e38,), (1e-30,), (0.1, 3e38)])
def test_08_a_weight_scale_beyond_reason_is_refused(scales: tuple[float, ...], tmp_path: Path) -> None:
    quant = Quantization(scales, (0,) * len(scales), 0 if len(scales) > 1 else None)
    weights = Tensor("w", (2, 3), "int8", quant, np.ones((2, 3), np.int8))
    node = Node("fully_connected", "f", (0, 1), (2,), attrs(activation="none", keep_num_dims=False))
    graph = Graph("net", (tensor("x", 1, 3), weights, tensor("y", 1, 2)), (node,), (0,), (2,))
    (tmp_path / "m.tflite").write_bytes(write(graph))
    with pytest.raises(UnsupportedError, match="a scale of"):
        _bring.load(tmp_path / "m.tflite", "m")


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_08_a_kernel_shape_that_the_weights_do_not_have_is_refused(op: str) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'sandgrain[test]'")
    make = onnx.helper

    def model(kernel: list[int]) -> Any:
        weights = onnx.numpy_helper.from_array(np.ones((3, 3, 2, 2), np.float32), "w")
        node = make.make_node(op, ["x", "w"], ["y"], kernel_shape=kernel)
        ends = [make.make_tensor_value_info(n, 1, [1, 3, *size]) for n, size in (("x", (6, 6)), ("y", (None, None)))]
        graph = make.make_graph([node], "g", ends[:1], ends[1:], [weights])
        return make.make_model(graph, opset_imports=[make.make_opsetid("", 14)], ir_version=8)

    assert _bring.load(model([2, 2]), "m").nodes
    with pytest.raises(ModelError, match=r"kernel|shape"):
        _bring.load(model([3, 3]), "m")


# --- 22: our own advice is shown as it was written ---------------------------------------------------------------------------


def test_22_advice_keeps_its_quotes_braces_and_equals_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    from sandgrain.formats.aten.ops import HANDLERS

    advice = "use mode='bilinear' (align_corners=False), {1: 2}, 50 % & more"

    def refuses(*_: Any) -> Any:
        raise UnsupportedError(advice)

    monkeypatch.setitem(HANDLERS, "relu", refuses)
    with pytest.raises(UnsupportedError) as caught:
        _bring.load(torch.export.export(torch.nn.ReLU(), (torch.zeros(1, 3),)), "m")
    assert advice in str(caught.value)


# --- 26: default names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["9" * 60, "7_" + "very_long_name_" * 5, "a" * 41, "2" + "_" * 50, "int", "5" * 34])
def test_26_a_default_name_is_one_that_the_tool_takes(stem: str) -> None:
    assert ctext.check_identifier(ctext.identifier(stem)) == ctext.identifier(stem)
