"""The depthwise 3x3 kernel for the DSP extension, its one-multiply rescaling, and the memory it may write over."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.plan import plan
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, View, attrs
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.ops.conv.weights import draw_weights
from sandgrain.graph.ops.conv.windows import output_extent
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import per_tensor
from sandgrain.kernels.conv.depthwise_3x3_dsp_s8 import Lines
from sandgrain.kernels.proofs import single_multiply
from tests.support.draws import CASES, SeededDraw, new_seed, random_inputs, rare, turns
from tests.support.emulated_graphs import run_chosen
from tests.support.host_batch import SANITIZE, Batch
from tests.support.toy_firmware import compilers

BATCH = 50
KERNEL = "depthwise_3x3_dsp_s8"


def sample(draw: Draw) -> Graph:
    """A 3x3 depthwise layer with any padding, mostly clamped where the kernel likes it."""
    channels, stride = draw.choice(SIZES), (draw.integer(1, 2), draw.integer(1, 2))
    padding = tuple(draw.choice((0, 1, 1, 2)) for _ in range(4))
    size = tuple(draw.integer(max(1, 3 - padding[2 * k] - padding[2 * k + 1]), 13) for k in (0, 1))
    x = activation_tensor("x", (1, *size, channels), draw_quant(draw))
    assert x.quant is not None
    weights, bias, out_quant = draw_weights(draw, (1, 3, 3, channels), 3, x.quant)
    height = output_extent(size[0], 3, stride[0], 1, padding[0], padding[1])
    width = output_extent(size[1], 3, stride[1], 1, padding[2], padding[3])
    clamped = draw.choice((True, True, True, False))
    out = per_tensor(out_quant.scale[0] * draw.choice((0.3, 1.0, 1.0, 4.0)), -128 if clamped else out_quant.zero_point[0])
    a = attrs(stride=stride, dilation=(1, 1), padding=padding, activation=draw.choice(("none", "relu", "relu")))
    y = activation_tensor("y", (1, height, width, channels), out)
    return one_op("depthwise_conv_2d", (x, weights, draw.choice((bias, None))), (y,), a)


def cases(start: int) -> tuple[list[Graph], list[list[Array]], list[Array]]:
    """Graphs, one sample each, and what the reference answers."""
    graphs = [sample(SeededDraw(new_seed(seed))) for seed in range(start, start + BATCH)]
    inputs = [[x[0] for x in random_inputs(graph, new_seed(start + k), 1)] for k, graph in enumerate(graphs)]
    return graphs, inputs, [interpret.run(graph, x)[0] for graph, x in zip(graphs, inputs, strict=True)]


@rare
def test_the_kernel_equals_the_reference_on_this_computer() -> None:
    used: Counter[str] = Counter()
    for start in range(0, CASES, BATCH):
        graphs, inputs, expected = cases(start)
        batch = Batch(graphs, ("dsp",), ("-O1", *SANITIZE) if start % (2 * BATCH) else ("-O2",))
        for k, x in enumerate(inputs):
            assert np.array_equal(batch.run(k, x)[0], expected[k]), start + k
        used.update(source.layers[0].kernel for source in batch.sources)
    assert used[KERNEL], used


@rare
def test_enough_random_cases_are_for_the_kernel() -> None:
    """A statement about the sampler, so of fixed cases."""
    plans = [plan(sample(SeededDraw(seed)), ("dsp",)) for seed in range(100)]
    used = Counter(generate(made, Options("case_0")).layers[0].kernel for made in plans)
    assert used[KERNEL] > 0.4 * len(plans), used


@rare
@pytest.mark.parametrize("compiler", turns(compilers("cortex-m4")))
def test_the_kernel_equals_the_reference_on_the_emulated_core(compiler: str) -> None:
    for start in range(0, CASES, BATCH):
        graphs, inputs, expected = cases(20_000 + start)
        outcome = run_chosen(
            graphs, inputs, [[y] for y in expected], "cortex-m4", compiler, "-Os" if start % (2 * BATCH) else "-O2"
        )
        assert outcome.failures == [], start
        assert KERNEL in outcome.kernels


def overwrites(view: View, axis: int) -> bool:
    """Whether some output lands on a pixel that a later line of outputs still reads, by walking as the kernel walks."""
    walk = Lines(view, axis)
    (lines, size), (outputs, length) = walk.sizes
    width, out_width = view.input(0).shape[2], view.out.shape[2]
    read: set[int] = set()
    written: set[int] = set()
    done = -walk.pad[0]
    for o in range(outputs):
        for line in range(done, o * walk.stride[0] - walk.pad[0] + 3):
            for e in range(size) if 0 <= line < lines else ():
                pixel = line * width + e if axis == 1 else e * width + line
                if pixel in written:
                    return True
                read.add(pixel)
        done = max(done, o * walk.stride[0] - walk.pad[0] + 3)
        written |= {o * out_width + e if axis == 1 else e * out_width + o for e in range(length)}
    return False


def test_the_output_lies_over_the_input_only_where_every_pixel_has_been_read() -> None:
    seen: Counter[bool] = Counter()
    for seed in range(300):
        graph = sample(SeededDraw(seed))
        view = graph.view(graph.nodes[0])
        for axis in (1, 2):
            free = Lines(view, axis).over_itself()
            assert free == (view.out.size <= view.input(0).size and not overwrites(view, axis)), (seed, axis)
            seen[free] += 1
    assert min(seen.values()) > 20


def rule(draw: Draw, low: int) -> single_multiply.Rule:
    channels = 6
    lowest = draw.array((channels,), -3000, 0, "int64")
    return single_multiply.Rule(
        draw.array((channels,), 1 << 30, (1 << 31) - 1, "int64"),
        draw.array((channels,), -13, -3, "int64"),
        lowest,
        lowest + draw.integer(0, 4000),
        draw.integer(-128, 127) if low < -128 else low,
        max(low, -128),
        127,
    )


@rare
def test_equality_is_what_trying_every_accumulator_finds() -> None:
    seen: Counter[bool] = Counter()
    for seed in range(200):
        draw = SeededDraw(seed)
        r = rule(draw, draw.choice((-129, -128)))
        short = single_multiply.one_multiply(r, 10)
        every = r.lowest[:, None] + np.arange(4001)
        every = np.minimum(every, r.highest[:, None])
        found = single_multiply.equal(r, short)
        assert np.array_equal(found, (r(every) == short(every)).all(axis=1)), seed
        seen.update(bool(f) for f in found)
    assert min(seen.values()) > 20


def test_a_layer_clamped_at_its_zero_point_always_takes_one_multiply() -> None:
    for seed in range(100):
        r = rule(SeededDraw(seed), -128)
        ordinary = -r.shift < 10
        assert single_multiply.equal(r, single_multiply.one_multiply(r, 10))[ordinary].all(), seed
