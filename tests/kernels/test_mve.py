"""The kernels for Helium: equal to the reference in plain C on this computer, and in vectors on the emulated Cortex-M55."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sandgrain.device import targets
from sandgrain.device.run import emulator_missing
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import draw_weights
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.kernels import Lowered, kernels_of
from sandgrain.kernels.proofs.narrow_plane import SHIFT, narrow_plane
from sandgrain.kernels.proofs.pair_plane import VALUES
from tests.support.draws import CASES, RUN_SEED, SeededDraw, new_seed, random_inputs, rare, turns
from tests.support.emulated_graphs import run_chosen
from tests.support.host_batch import SANITIZE, Batch
from tests.support.toy_firmware import compilers

BATCH = 32  # two inputs each at most: a firmware takes 64
ACTIVATIONS = ("none", "relu", "relu6")
MISSING = emulator_missing(targets.load("cortex-m55"))


def window(draw: Draw) -> Graph:
    """A convolution with more than one tap, or strides, or padding."""
    return OPS["conv_2d"].sample(draw)


def pointwise(draw: Draw) -> Graph:
    in_c, out_c = draw.choice((*SIZES, 24, 33, 64)), draw.choice((*SIZES, 24, 33))
    x = activation_tensor("x", (draw.choice((1, 2)), draw.integer(1, 5), draw.integer(1, 5), in_c), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (out_c, 1, 1, in_c), 0, x.quant)
    y = activation_tensor("y", (*x.shape[:3], out_c), out_quant)
    a = attrs(stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0), activation=draw.choice(ACTIVATIONS))
    return one_op("conv_2d", (x, weights, draw.choice((bias, None))), (y,), a)


def dense(draw: Draw) -> Graph:
    units, depth = draw.choice((*SIZES, 24, 33)), draw.choice((*SIZES, 32, 33, 48, 100, 160))
    x = activation_tensor("x", (draw.choice((1, 1, 3)), depth), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (units, depth), 0, x.quant)
    a = attrs(activation=draw.choice(ACTIVATIONS), keep_num_dims=False)
    y = activation_tensor("y", (x.shape[0], units), out_quant)
    return one_op("fully_connected", (x, weights, draw.choice((bias, None))), (y,), a)


def depthwise(draw: Draw) -> Graph:
    """Windows up to 4x4, strides 1 and 2, on images that are longer than eight outputs in one case of three."""
    channels = draw.choice((*SIZES, 24))
    kernel = draw.choice(((3, 3), (draw.integer(1, 4), draw.integer(1, 4))))
    stride = (draw.integer(1, 2), draw.integer(1, 2))
    size = (kernel[0] + draw.choice((draw.integer(0, 5), 17)), kernel[1] + draw.choice((draw.integer(0, 5), 18)))
    x = activation_tensor("x", (draw.choice((1, 1, 2)), *size, channels), draw_quant(draw))
    assert x.quant is not None
    padding = win.explicit_padding(win.draw_padding(draw), size, kernel, stride)
    weights, bias, out_quant = draw_weights(draw, (1, *kernel, channels), 3, x.quant)
    height = win.output_extent(size[0], kernel[0], stride[0], 1, *padding[:2])
    width = win.output_extent(size[1], kernel[1], stride[1], 1, *padding[2:])
    y = activation_tensor("y", (x.shape[0], height, width, channels), out_quant)
    a = attrs(stride=stride, dilation=(1, 1), padding=padding, activation=draw.choice(ACTIVATIONS))
    return one_op("depthwise_conv_2d", (x, weights, draw.choice((bias, None))), (y,), a)


def total(draw: Draw) -> Graph:
    """A sum or a difference of two inputs of one shape."""
    op = draw.choice(("add", "sub"))
    shape = (1, draw.choice(SIZES), draw.choice(SIZES))
    a, b = (activation_tensor(n, shape, draw_quant(draw)) for n in "ab")
    assert a.quant is not None and b.quant is not None
    y = activation_tensor("y", shape, draw_quant(draw, 0.5 * max(a.scale, b.scale), 2 * max(a.scale, b.scale)))
    return one_op(op, (a, b), (y,), attrs(activation=draw.choice(ACTIVATIONS)))


# What makes a case, and the kernels that may be picked for it.
KINDS = {
    "window": (window, {"conv_window_mve_s8"}),
    "pointwise": (pointwise, {"conv_pointwise_mve_s8"}),
    "dense": (dense, {"fully_connected_mve_s8", "fully_connected_copy_mve_s8"}),
    "depthwise": (depthwise, {"depthwise_mve_s8"}),
    "total": (total, {"add_mve_s8"}),
}


def cases(kind: str, start: int) -> tuple[list[Graph], list[list[Array]], list[list[Array]]]:
    """Graphs, one sample each, and what the reference answers."""
    graphs = [KINDS[kind][0](SeededDraw(new_seed(seed))) for seed in range(start, start + BATCH)]
    inputs = [[x[0] for x in random_inputs(graph, new_seed(start + k), 1)] for k, graph in enumerate(graphs)]
    return graphs, inputs, [interpret.run(graph, x) for graph, x in zip(graphs, inputs, strict=True)]


def mostly(kind: str, used: Counter[str]) -> bool:
    return sum(used[k] for k in KINDS[kind][1]) >= 0.8 * used.total()


@rare
@pytest.mark.parametrize("kind", turns(list(KINDS), 2))
def test_the_plain_c_equals_the_reference(kind: str) -> None:
    used: Counter[str] = Counter()
    for start in range(0, CASES, BATCH):
        graphs, inputs, expected = cases(kind, start)
        batch = Batch(graphs, ("dsp", "mve"), ("-O1", *SANITIZE) if start % (2 * BATCH) else ("-O2",))
        for k, sample in enumerate(inputs):
            assert np.array_equal(batch.run(k, sample)[0], expected[k][0]), f"{kind} {start + k}"
        used.update(source.layers[0].kernel for source in batch.sources)
    assert mostly(kind, used), used


@rare
@pytest.mark.skipif(bool(MISSING), reason=f"Cortex-M55: {MISSING}")
@pytest.mark.parametrize("kind", turns(list(KINDS), 2))
def test_the_vectors_equal_the_reference(kind: str) -> None:
    """Batches take turns in compilers and optimization; each run begins with another pair."""
    ways = [(compiler, opt) for opt in ("-O2", "-Os", "-O1") for compiler in compilers("cortex-m55")]
    used: Counter[str] = Counter()
    for n, start in enumerate(range(10_000, 10_000 + CASES * 5 // 4, BATCH)):  # a fifth may be out of a kernel's reach
        graphs, inputs, expected = cases(kind, start)
        compiler, opt = ways[(n + RUN_SEED) % len(ways)]
        outcome = run_chosen(graphs, inputs, expected, "cortex-m55", compiler, opt)
        assert outcome.failures == [], start
        used.update(outcome.kernels)
    assert mostly(kind, used), used


def test_a_narrow_plane_equals_what_it_was_made_for() -> None:
    draw = SeededDraw(1)
    found = 0
    for _ in range(10):
        a, b = draw.real(0.2, 1.5), draw.real(0.2, 1.5)
        expected = np.clip(np.floor(VALUES[:, None] * a + VALUES[None, :] * b + 3.5), -128, 127)
        plane = narrow_plane(a, b, expected, -128, 127)
        if plane is not None:
            found += 1
            total = plane.offset + VALUES[:, None] * plane.multiplier_a + VALUES[None, :] * plane.multiplier_b
            assert np.array_equal(np.clip(total >> SHIFT, -128, 127), expected)
    assert found >= 5


def test_there_is_no_narrow_plane_for_a_product() -> None:
    expected = np.clip(VALUES[:, None] * VALUES[None, :] // 64, -128, 127)
    assert narrow_plane(1.0, 1.0, expected, -128, 127) is None


def safe(in_c: int, out_c: int, pixels: int, lead: int) -> bool:
    """Whether no pair's outputs cover an input byte that a later pair reads, with the output `lead` bytes ahead."""
    return all(min(2 * g + 2, pixels) * out_c - lead <= (2 * g + 2) * in_c for g in range((pixels - 1) // 2))


def test_a_wider_pointwise_output_starts_just_far_enough_before_its_input() -> None:
    leads = set()
    for seed in range(100):
        graph = pointwise(SeededDraw(seed))
        view = graph.view(graph.nodes[0])
        (kernel,) = (k for k in kernels_of("conv_2d") if k.name == "conv_pointwise_mve_s8")
        fitted = kernel.fit(view, {"mve"})
        assert isinstance(fitted, Lowered)
        ((position, lead),) = ((share.position, share.lead) for share in fitted.sharing if not share.exact)
        in_c, out_c = view.input(0).shape[3], view.out.shape[3]
        pixels = view.out.size // out_c
        assert position == 0 and safe(in_c, out_c, pixels, lead) and safe(in_c, out_c, pixels, lead + 100)
        assert lead == 0 or not safe(in_c, out_c, pixels, lead - 1)
        leads.add(lead)
    assert len(leads) > 10
