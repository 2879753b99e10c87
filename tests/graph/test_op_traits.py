"""What ops say about themselves is true: each trait against the op's own meaning, on its own test cases."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.graph import interpret
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.channels import Interval, channels_of
from sandgrain.graph.ops.traits import OWN_OUTPUT, PadValue
from sandgrain.graph.quantization import per_tensor
from tests.support.draws import SeededDraw, rare
from tests.support.float_graphs import floated

CASES = 20
COARSER = ("relu6",)  # computes on its input's scale whatever the output's is
OTHER = per_tensor(0.123, 7)


def samples(name: str) -> Iterator[Graph]:
    for case in range(CASES):
        yield OPS[name].sample(SeededDraw(zlib.crc32(f"{name} {case}".encode())))


def with_quant(graph: Graph, index: int) -> Graph:
    """`graph`, its tensor `index` quantized otherwise."""
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], quant=OTHER)
    return replace(graph, tensors=tuple(tensors))


def refused(graph: Graph) -> bool:
    try:
        OPS[graph.nodes[0].op].check(graph.view(graph.nodes[0]))
    except ModelError:
        return True
    return False


def drawn_ends(rng: np.random.Generator, channels: int, zero_point: int) -> np.ndarray:
    """[2, channels]: a single value, a narrow interval, a wide one (which hides what lies between its ends), one around zero."""
    wide = np.sort(rng.integers(-128, 128, (2, channels)), axis=0)
    narrow = np.stack([wide[0], np.minimum(wide[0] + rng.integers(0, 20, channels), 127)])
    zero = np.clip(zero_point + np.stack([-rng.integers(0, 60, channels), rng.integers(0, 60, channels)]), -128, 127)
    return np.choose(rng.integers(0, 4, channels), [wide[[0, 0]], narrow, wide, zero])


@rare
@pytest.mark.parametrize("name", OPS)
def test_channels_stay_within_their_intervals(name: str) -> None:
    """Inputs drawn from random intervals, channel by channel, give outputs within those of `interval`."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for graph in samples(name):
        node = graph.nodes[0]
        view = graph.view(node)
        if any(t is not None and t.data is None and t.dtype != "int8" for t in view.inputs):
            continue
        known, inputs = dict[int, Interval](), []
        for index in graph.inputs:
            tensor = graph.tensors[index]
            ends = drawn_ends(rng, channels_of(tensor), tensor.zero_point)
            known[index] = Interval(*ends)
            inputs.append(rng.integers(ends[0], ends[1] + 1, tensor.shape).astype(np.int8))
        for index, tensor in enumerate(graph.tensors):
            if tensor.data is not None and tensor.dtype == "int8":
                rows = tensor.data.reshape(-1, channels_of(tensor)).astype(np.int64)
                known[index] = Interval(rows.min(axis=0), rows.max(axis=0))
        made = OPS[name].interval(view, [known[i] for i in node.inputs if i in known])
        if made is None:
            continue
        assert len(made) == len(view.outputs)
        for interval, value in zip(made, interpret.run(graph, inputs), strict=True):
            assert (value >= interval.low).all() and (value <= interval.high).all()


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if op.fixed_output is not None])
def test_a_fixed_output_is_what_the_op_takes(name: str) -> None:
    for graph in samples(name):
        fixed = replace(graph.tensors[graph.outputs[0]], quant=OPS[name].fixed_output)
        tensors = [fixed if i == graph.outputs[0] else t for i, t in enumerate(graph.tensors)]
        assert not refused(replace(graph, tensors=tuple(tensors)))
        assert OPS[name].recurrent or refused(with_quant(graph, graph.outputs[0]))


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if OPS[n].same_scale_inputs != slice(0) and n not in COARSER])
def test_inputs_that_share_the_outputs_scale_may_have_no_other(name: str) -> None:
    for graph in samples(name):
        node = graph.nodes[0]
        for index in node.inputs[OPS[name].same_scale_inputs]:
            if graph.tensors[index].dtype == "int8":
                assert refused(with_quant(graph, index))


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if op.trained])
def test_weights_lie_where_the_op_says(name: str) -> None:
    for graph in samples(name):
        view = graph.view(graph.nodes[0])
        assert all(t is None or t.data is not None for t in view.inputs[1:])
        for weight in OPS[name].weights:
            tensor, out = view.input(weight.position), view.out
            assert tensor.dtype == "int8" and tensor.quant is not None
            assert tensor.quant.per_tensor or tensor.quant.axis == weight.channel_axis
            channels = tensor.shape[weight.channel_axis]
            assert channels % out.shape[-1] == 0  # the gates of a recurrent layer lie one below the other
            if weight.source == OWN_OUTPUT:
                assert tensor.shape[-1] == out.shape[-1]
            bias = None if weight.bias is None else view.optional(weight.bias)
            assert bias is None or (bias.dtype == "int32" and bias.size == channels)


@pytest.mark.parametrize("name", OPS)
def test_indices_are_int32_where_the_op_says(name: str) -> None:
    for graph in samples(name):
        view = graph.view(graph.nodes[0])
        assert all(view.input(k).dtype == "int32" for k in OPS[name].indices_in)
        assert not OPS[name].indices_out or all(t.dtype == "int32" for t in view.outputs)


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if op.has_real])
def test_factors_pass_where_the_op_says(name: str) -> None:
    """Positive factors for the channels of the input come out as the factors of the output's channels."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for graph in samples(name):
        real = floated(graph)
        view = real.view(real.nodes[0])
        channels = channels_of(view.input(0))
        if not OPS[name].passes_factors(view, channels):
            continue
        x, factors = rng.standard_normal((2, *view.input(0).shape)), rng.uniform(0.2, 5.0, channels)
        (plain,), (scaled,) = (OPS[name].real(view, [v.astype(np.float32)]) for v in (x, x * factors))
        wanted = plain * np.tile(factors, channels_of(view.out) // channels)
        np.testing.assert_allclose(scaled, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if op.stays_within])
def test_outputs_stay_within_the_input_where_the_op_says(name: str) -> None:
    for graph in samples(name):
        real = floated(graph)
        view = real.view(real.nodes[0])
        x = np.random.default_rng(0).standard_normal((2, *view.input(0).shape)).astype(np.float32)
        (y,) = OPS[name].real(view, [x])
        assert y.min() >= x.min() - 1e-6 and y.max() <= x.max() + 1e-6


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if op.pad_value is not None])
def test_padding_counts_as_the_op_says(name: str) -> None:
    """A pad of that value before the op is the same as more padding of its own."""
    for graph in samples(name):
        node = graph.nodes[0]
        x, out = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        top, bottom, left, right = node.attrs["padding"]
        value = -128 if OPS[name].pad_value is PadValue.LEAST else x.zero_point
        given = np.random.default_rng(1).integers(-128, 128, x.shape).astype(np.int8)
        around = np.pad(given, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)
        tensors = list(graph.tensors)
        tensors[node.inputs[0]] = replace(x, shape=around.shape)
        bare = replace(node, attrs={**node.attrs, "padding": (0, 0, 0, 0)})
        other = replace(graph, tensors=tuple(tensors), nodes=(bare,))
        assert np.array_equal(interpret.run(graph, [given])[0], interpret.run(other, [around])[0])
        assert out.shape == OPS[name].shapes(other.view(bare).inputs, bare.attrs)[0]
