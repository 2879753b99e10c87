"""Ops that models of other frameworks bring: what the registry's tests do not reach."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import interpret, reals, rules
from sandgrain.graph.ir import Array, Graph, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import activation_tensor, one_op
from sandgrain.graph.quantization import Quantization, dequantize, per_tensor
from sandgrain.quantization import Range, convert_with_ranges
from sandgrain.quantization import quantize as quantized
from tests.support.draws import SeededDraw, rare
from tests.support.float_graphs import Net
from tests.support.host_batch import Batch
from tests.support.integers import to_int8

QUANT = per_tensor(0.05, 3)


def changed(graph: Graph, **values: Any) -> Graph:
    """A one-op graph with other attributes."""
    node = graph.nodes[0]
    return replace(graph, nodes=(replace(node, attrs=attrs(**{**node.attrs, **values})),))


def transposed(stride: int, kernel: int, padding: int, size: int) -> Graph:
    """One channel to one, 4x4 pixels, weights 1 2 3 ... , no bias; every scale 1."""
    one = Quantization((1.0,), (0,))
    weights = np.arange(1, kernel**2 + 1, dtype=np.int8).reshape(1, kernel, kernel, 1)
    ins = (Tensor("x", (1, 4, 4, 1), "int8", one), Tensor("w", weights.shape, "int8", one, weights), None)
    a = attrs(stride=(stride,) * 2, padding=(padding,) * 2, size=(size,) * 2, activation="none")
    return one_op("transpose_conv", ins, (Tensor("y", (1, size, size, 1), "int8", one),), a)


# --- transposed convolution ----------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("features", [(), ("dsp",)])
@pytest.mark.parametrize(
    ("stride", "kernel", "padding", "size"), [(2, 3, 1, 8), (3, 2, 0, 12), (2, 2, 0, 8), (1, 3, 2, 3), (5, 1, 0, 20)]
)
def test_an_input_pixel_stamps_the_kernel(stride: int, kernel: int, padding: int, size: int, features: tuple[str, ...]) -> None:
    graph = transposed(stride, kernel, padding, size)
    x = np.zeros((1, 4, 4, 1), np.int8)
    x[0, 1, 2, 0] = 1
    wanted = np.zeros((size + 2 * kernel + 2 * stride,) * 2, np.int8)
    top, left = (i * stride - padding + kernel for i in (1, 2))
    wanted[top : top + kernel, left : left + kernel] = np.arange(1, kernel**2 + 1).reshape(kernel, kernel)
    wanted = wanted[kernel : kernel + size, kernel : kernel + size]
    assert np.array_equal(interpret.run(graph, [x])[0][0, :, :, 0], wanted)
    assert np.array_equal(Batch([graph], features).run(0, [x])[0][0, :, :, 0], wanted)


def test_a_padding_without_a_name_in_the_file_format_becomes_a_crop() -> None:
    graph = transposed(2, 3, 1, 8)
    again = read.read(writer.write(graph), "again")
    assert [n.op for n in again.nodes] == ["transpose_conv", "strided_slice"]
    x = np.arange(-8, 8, dtype=np.int8).reshape(1, 4, 4, 1)
    assert np.array_equal(interpret.run(again, [x])[0], interpret.run(graph, [x])[0])


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"stride": (0, 2)}, "a stride of 0; use 1 to 64"),
        ({"stride": (2, 65)}, "a stride of 65"),
        ({"size": (1 << 20, 4)}, "an output side of 1048576"),
        ({"padding": (-1, 0)}, "a padding of -1"),
    ],
)
def test_hostile_attributes_are_refused(values: dict[str, Any], fact: str) -> None:
    with pytest.raises(UnsupportedError, match=fact):
        rules.check(changed(transposed(2, 2, 0, 8), **values))


# --- resize --------------------------------------------------------------------------------------------------------------


def test_a_bilinear_resize_takes_one_kind_of_position() -> None:
    graph = changed(OPS["resize_bilinear"].sample(SeededDraw(3)), align_corners=True, half_pixel_centers=True)
    with pytest.raises(UnsupportedError, match="aligned corners with half-pixel centers; choose one"):
        rules.check(graph)


def test_a_bilinear_resize_reads_nothing_behind_the_last_pixel() -> None:
    """Where rounded positions run past it, as from 1 to 600, the last pixel counts alone."""
    x = activation_tensor("x", (1, 1, 1, 3), QUANT)
    a = attrs(size=(600, 1), align_corners=False, half_pixel_centers=False)
    graph = one_op("resize_bilinear", (x,), (activation_tensor("y", (1, 600, 1, 3), QUANT),), a)
    value = np.array([[[[-128, 5, 127]]]], np.int8)
    assert (Batch([graph]).run(0, [value])[0] == value).all()


# --- gather --------------------------------------------------------------------------------------------------------------


def embedding(rows: int = 5) -> Graph:
    table = Tensor("table", (rows, 3), "int8", QUANT, np.arange(rows * 3, dtype=np.int8).reshape(rows, 3))
    ins = (table, Tensor("at", (1, 4), "int32"))
    return one_op("gather", ins, (activation_tensor("y", (1, 4, 3), QUANT),), attrs(axis=0))


def test_a_position_outside_the_table_reads_the_nearest_row() -> None:
    graph, at = embedding(), np.array([[-(2**31), -1, 5, 2**31 - 1]], np.int32)
    expected = interpret.run(graph, [at])[0]
    assert expected[0, :, 0].tolist() == [0, 0, 12, 12]
    assert np.array_equal(Batch([graph]).run(0, [at])[0], expected)


def test_a_gather_with_batch_dimensions_is_refused() -> None:
    data = writer.write(embedding())
    assert OPS["gather"].decode("GATHER", {"axis": -2, "batch_dims": 0}, embedding().tensors[:2], ()).attrs["axis"] == 0
    with pytest.raises(UnsupportedError, match="a gather with batch dimensions"):
        OPS["gather"].decode("GATHER", {"axis": 0, "batch_dims": 1}, embedding().tensors[:2], ())
    assert read.read(data, "again").tensors[0].shape == (5, 3)


def test_words_are_quantized_by_their_table() -> None:
    """Token positions stay int32; the table and what is read from it have one scale."""
    net = Net((1, 6))
    net.tensors[0] = replace(net.tensors[0], dtype="int32")
    rows = net.node("gather", (net.constant(net.rng.standard_normal((9, 4))), 0), (1, 6, 4), axis=0)
    graph = net.graph(net.dense(rows, 3))
    words: Array = net.rng.integers(0, 9, (20, 1, 6)).astype(np.int32)
    made = quantized(graph, [words])
    assert made.graph.tensors[made.graph.inputs[0]].dtype == "int32"
    exact = reals.outputs(graph, words)[0]
    quant = made.graph.tensors[made.graph.outputs[0]].quant
    assert quant is not None
    ours = np.stack([dequantize(interpret.run(made.graph, [w])[0], quant).reshape(exact.shape[1:]) for w in words])
    noise = float(((ours - exact) ** 2).mean() / (exact**2).mean())
    assert 10 * np.log10(noise) < -30


# --- two inputs ----------------------------------------------------------------------------------------------------------


def test_a_maximum_with_a_fixed_scale_goes_through_a_quantize() -> None:
    net = Net((1, 6))
    y = net.node("maximum", (net.node("logistic", (0,), (1, 6)), net.dense(0, 6)), (1, 6))
    graph = net.graph(y)
    made = convert_with_ranges(graph, {i: Range(-4, 4) for i in range(len(graph.tensors))})
    assert "quantize" in {n.op for n in made.graph.nodes}
    x = net.samples(1)[0]
    scale = made.graph.tensors[made.graph.inputs[0]].quant
    out = made.graph.tensors[made.graph.outputs[0]].quant
    assert scale is not None and out is not None
    got = dequantize(interpret.run(made.graph, [to_int8(x, scale)])[0], out)
    assert np.abs(got - reals.outputs(graph, x[None])[0][0]).max() < 4 * out.scale[0]


@pytest.mark.parametrize("op", ["maximum", "minimum", "reduce_max", "resize_bilinear"])
def test_bytes_of_two_scales_are_not_compared(op: str) -> None:
    graph = OPS[op].sample(SeededDraw(1))
    out = graph.outputs[0]
    other = replace(graph.tensors[out], quant=per_tensor(0.7, 1))
    with pytest.raises(UnsupportedError, match="quantized differently"):
        rules.check(replace(graph, tensors=(*graph.tensors[:out], other, *graph.tensors[out + 1 :])))


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    a, b = activation_tensor("a", (1, 3), QUANT), activation_tensor("b", (1, 4), QUANT)
    with pytest.raises(ModelError, match="do not broadcast"):
        OPS["prelu"].shapes((a, b), attrs())
