"""The convolution and fully connected kernels for the DSP extension: equal to the reference, in memory they share."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, View, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.ops.conv.weights import draw_weights
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.kernels import Refused
from sandgrain.kernels.shared.dsp_stream import Channels, channels_of, stream_of
from sandgrain.kernels.shared.overlap import window_lead
from tests.support.draws import CASES, SeededDraw, new_seed, random_inputs, rare, turns
from tests.support.emulated_graphs import run_chosen
from tests.support.host_batch import SANITIZE, Batch
from tests.support.toy_firmware import compilers

BATCH = 50
KERNELS = {"conv_pointwise_dsp_s8", "conv_window_dsp_s8", "fully_connected_dsp_s8"}


def pointwise(draw: Draw) -> Graph:
    """A 1x1 convolution with more channels than the general sample has."""
    in_c, out_c = draw.choice((*SIZES, 24, 33, 64)), draw.choice((*SIZES, 24, 33))
    x = activation_tensor("x", (draw.choice((1, 2)), draw.integer(1, 5), draw.integer(1, 5), in_c), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (out_c, 1, 1, in_c), 0, x.quant)
    y = activation_tensor("y", (*x.shape[:3], out_c), out_quant)
    a = attrs(stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0), activation=draw.choice(("none", "relu", "relu6")))
    return one_op("conv_2d", (x, weights, draw.choice((bias, None))), (y,), a)


def dense(draw: Draw) -> Graph:
    """A fully connected layer of whole words of inputs."""
    units, depth = draw.choice((8, 9, 12, 15, 16, 23, 24)), 4 * draw.integer(1, 40)
    x = activation_tensor("x", (draw.choice((1, 1, 3)), depth), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (units, depth), 0, x.quant)
    a = attrs(activation=draw.choice(("none", "relu", "relu6")), keep_num_dims=False)
    y = activation_tensor("y", (x.shape[0], units), out_quant)
    return one_op("fully_connected", (x, weights, draw.choice((bias, None))), (y,), a)


SAMPLES = {"window": OPS["conv_2d"].sample, "pointwise": pointwise, "dense": dense}


def cases(kind: str, start: int, count: int) -> tuple[list[Graph], list[list[Array]], list[list[Array]]]:
    """Graphs, one sample each, and what the reference answers."""
    graphs = [SAMPLES[kind](SeededDraw(new_seed(seed))) for seed in range(start, start + count)]
    inputs = [[x[0] for x in random_inputs(graph, new_seed(start + k), 1)] for k, graph in enumerate(graphs)]
    return graphs, inputs, [interpret.run(graph, x) for graph, x in zip(graphs, inputs, strict=True)]


@rare
@pytest.mark.parametrize("kind", SAMPLES)
def test_the_kernels_equal_the_reference_on_this_computer(kind: str) -> None:
    used: Counter[str] = Counter()
    for start in range(0, CASES, BATCH):
        graphs, inputs, expected = cases(kind, start, BATCH)
        batch = Batch(graphs, ("dsp",), ("-O1", *SANITIZE) if start % (2 * BATCH) else ("-O2",))
        for k, sample in enumerate(inputs):
            assert np.array_equal(batch.run(k, sample)[0], expected[k][0]), f"{kind} {start + k}"
        used.update(source.layers[0].kernel for source in batch.sources)
    assert sum(used[k] for k in KERNELS) >= 0.9 * sum(used.values()), used


@rare
@pytest.mark.parametrize("compiler", turns(compilers("cortex-m4")))
@pytest.mark.parametrize("kind", SAMPLES)
def test_the_kernels_equal_the_reference_on_the_emulated_core(kind: str, compiler: str) -> None:
    for start in range(0, CASES, BATCH):
        graphs, inputs, expected = cases(kind, 10_000 + start, BATCH)
        outcome = run_chosen(graphs, inputs, expected, "cortex-m4", compiler, "-Os" if start % (2 * BATCH) else "-O2")
        assert outcome.failures == [], start
        assert KERNELS & set(outcome.kernels)


def windows_of(view: View) -> list[tuple[int, int]]:
    """For each output pixel in order: the lowest and one past the highest input byte that its window reads."""
    _, in_h, in_w, in_c = view.input(0).shape
    (stride_h, stride_w), (dilation_h, dilation_w) = view.attrs["stride"], view.attrs["dilation"]
    top, _, left, _ = view.attrs["padding"]
    _, kernel_h, kernel_w, _ = view.input(1).shape
    found = []
    for n, oy, ox in np.ndindex(*view.out.shape[:3]):
        ys = [y for y in (oy * stride_h - top + k * dilation_h for k in range(kernel_h)) if 0 <= y < in_h]
        xs = [x for x in (ox * stride_w - left + k * dilation_w for k in range(kernel_w)) if 0 <= x < in_w]
        places = [((n * in_h + y) * in_w + x) * in_c for y in ys for x in xs]
        found.append((min(places), max(places) + in_c) if places else (view.input(0).size, 0))
    return found


def safe(view: View, windows: list[tuple[int, int]], lead_bytes: int) -> bool:
    """Whether no pair of pixels, once written, covers an input byte that a later pair reads."""
    out_c, per_image = view.out.shape[3], view.out.shape[1] * view.out.shape[2]
    pairs = [
        list(range(image + first, image + min(first + 2, per_image)))
        for image in range(0, len(windows), per_image)
        for first in range(0, per_image, 2)
    ]
    for g, pair in enumerate(pairs):
        end = (pair[-1] + 1) * out_c - lead_bytes
        if any(windows[later][0] < end for rest in pairs[g + 1 :] for later in rest):
            return False
    return True


def test_the_lead_of_a_window_kernel_is_the_least_that_is_safe() -> None:
    leads = set()
    for seed in range(150):
        graph = SAMPLES["window"](SeededDraw(seed))
        view = graph.view(graph.nodes[0])
        windows, bytes_before = windows_of(view), window_lead(view)
        assert safe(view, windows, bytes_before), seed
        assert bytes_before == 0 or not safe(view, windows, bytes_before - 1), seed
        leads.add(bytes_before)
    assert len(leads) > 20


def test_a_channel_that_cannot_vary_needs_no_weights() -> None:
    graph = pointwise(SeededDraw(3))
    node = graph.nodes[0]
    view = graph.view(node)
    weights = view.const(1).copy()
    weights[0] = 0
    tensors = list(graph.tensors)
    tensors[node.inputs[1]] = type(view.input(1))("weights", weights.shape, "int8", view.input(1).quant, weights)
    still = Graph(graph.name, tuple(tensors), graph.nodes, graph.inputs, graph.outputs)
    channels = channels_of(still.view(node))
    assert isinstance(channels, Channels)
    sample = [x[0] for x in random_inputs(still, 1, 1)]
    value = interpret.run(still, sample)[0][..., 0].reshape(-1)[0]
    assert channels.doubled[0] == 0 and channels.bias[0] == 4 * (int(value) - view.out.zero_point)


def test_two_weights_that_do_not_fit_a_half_word_are_refused() -> None:
    graph = pointwise(SeededDraw(4))
    view = graph.view(graph.nodes[0])
    channels = channels_of(view)
    assert isinstance(channels, Channels) and not isinstance(stream_of(channels, 4), Refused)
    channels.weights[:] = -128
    assert stream_of(channels, 4) == Refused("two weights do not share a word: channel 1")


def test_a_widening_pointwise_layer_lies_over_its_own_input() -> None:
    x = activation_tensor("x", (1, 6, 6, 8), draw_quant(SeededDraw(1)))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(SeededDraw(2), (16, 1, 1, 8), 0, x.quant)
    y = activation_tensor("y", (1, 6, 6, 16), out_quant)
    a = attrs(stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0), activation="none")
    batch = Batch([one_op("conv_2d", (x, weights, bias), (y,), a)], ("dsp",))
    assert batch.sources[0].plan.arena_bytes == 6 * 6 * 16 + 2 * 2 * 8  # the output, and two pixels of 16-bit inputs
    graph = batch.sources[0].plan.graph
    sample = [v[0] for v in random_inputs(graph, 5, 1)]
    assert np.array_equal(batch.run(0, sample)[0], interpret.run(graph, sample)[0])


@rare
@pytest.mark.parametrize("kernel", [(9, 5), (9, 4), (10, 4), (3, 9)])
def test_a_window_larger_than_the_image_is_right_on_the_host(kernel: tuple[int, int]) -> None:
    """LLVM's superword vectorizer gets 9 x 5 wrong on x86-64 (`toolchain.build.HOST_ONLY`)."""
    draw, padding = SeededDraw(1), (kernel[0] // 2, (kernel[0] - 1) // 2, kernel[1] // 2, (kernel[1] - 1) // 2)
    x = activation_tensor("x", (1, 8, 8, 1), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (8, *kernel, 1), 0, x.quant)
    y = activation_tensor("y", (1, 8, 8, 8), out_quant)
    a = attrs(stride=(1, 1), dilation=(1, 1), padding=padding, activation="none")
    graph = one_op("conv_2d", (x, weights, bias), (y,), a)
    batch, (sample,) = Batch([graph], features=("dsp",), flags=("-O2",)), random_inputs(graph, 0, 1)
    assert batch.sources[0].layers[0].kernel == "conv_window_dsp_s8"
    assert np.array_equal(interpret.run(graph, [sample[0]])[0], batch.run(0, [sample[0]])[0])
