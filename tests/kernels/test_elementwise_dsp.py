"""Element-wise ops, pools and means for the DSP extension: equal to the reference, and exact for every pair of inputs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.plan import plan
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.kernels.proofs.pair_plane import SHIFT, VALUES, exact_plane
from tests.support.draws import CASES, SeededDraw, new_seed, random_inputs, rare, turns
from tests.support.emulated_graphs import run_chosen
from tests.support.host_batch import SANITIZE, Batch
from tests.support.toy_firmware import compilers

BATCH = 50  # cases in one compiler run
CORE_BATCH = 25  # in one firmware, which has at most 64 buffers
# What part of each op's random cases the kernel takes, at least: the others broadcast, have few channels, or have ties.
SHARE = {"add": 0.4, "sub": 0.4, "mul": 0.4, "average_pool_2d": 0.5, "max_pool_2d": 0.5, "mean": 0.15}


def cases(op: str, start: int, count: int) -> tuple[list[Graph], list[list[Array]], list[Array]]:
    """Graphs, one sample each, and what the reference answers."""
    graphs = [OPS[op].sample(SeededDraw(new_seed(seed))) for seed in range(start, start + count)]
    inputs = [[x[0] for x in random_inputs(graph, new_seed(start + k), 1)] for k, graph in enumerate(graphs)]
    return graphs, inputs, [interpret.run(graph, x)[0] for graph, x in zip(graphs, inputs, strict=True)]


@rare
@pytest.mark.parametrize("op", SHARE)
def test_the_kernels_equal_the_reference_on_this_computer(op: str) -> None:
    used: Counter[bool] = Counter()
    for start in range(0, CASES, BATCH):
        graphs, inputs, expected = cases(op, start, BATCH)
        batch = Batch(graphs, ("dsp",), ("-O1", *SANITIZE) if start % (2 * BATCH) else ("-O2",))
        for k, x in enumerate(inputs):
            assert np.array_equal(batch.run(k, x)[0], expected[k]), start + k
        used.update("dsp" in source.layers[0].kernel for source in batch.sources)
    assert used[True], used


@rare
@pytest.mark.parametrize("op", SHARE)
def test_enough_random_cases_are_for_the_kernels(op: str) -> None:
    """A statement about the samplers, so of fixed cases."""
    plans = [plan(OPS[op].sample(SeededDraw(seed)), ("dsp",)) for seed in range(200)]
    used = sum("dsp" in generate(made, Options("case_0")).layers[0].kernel for made in plans)
    assert used > SHARE[op] * len(plans), used


@pytest.mark.slow  # test_emulated.py runs these kernels on the core in every run; this adds cases
@pytest.mark.parametrize("compiler", turns(compilers("cortex-m4")))
@pytest.mark.parametrize("op", SHARE)
def test_the_kernels_equal_the_reference_on_the_emulated_core(op: str, compiler: str) -> None:
    for start in range(0, CASES, CORE_BATCH):
        graphs, inputs, expected = cases(op, 30_000 + start, CORE_BATCH)
        outcome = run_chosen(
            graphs, inputs, [[y] for y in expected], "cortex-m4", compiler, "-Os" if start % (2 * CORE_BATCH) else "-O2"
        )
        assert outcome.failures == [], start


def test_a_plane_gives_every_pair_its_output() -> None:
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        slope_a, slope_b, constant = rng.uniform(0.05, 2.5), rng.uniform(-2.5, 2.5), rng.uniform(-100, 100)
        exact = np.floor(VALUES[:, None] * slope_a + VALUES[None, :] * slope_b + constant + 0.5)
        expected = np.clip(exact, -128, 127).astype(np.int8)
        plane = exact_plane(slope_a, slope_b, expected)
        if plane is not None:
            total = plane.offset + (VALUES[:, None] * plane.multiplier_a >> 8) + (VALUES[None, :] * plane.multiplier_b >> 8)
            assert np.array_equal(np.clip(total >> SHIFT, -128, 127), expected)
            assert int(np.abs(total).max()) < 1 << 31
            found += 1
    assert found > 30


def test_what_no_plane_gives_is_refused() -> None:
    expected = np.clip(VALUES[:, None] + VALUES[None, :], -128, 127).astype(np.int8)
    assert exact_plane(1.0, 1.0, expected) is not None
    expected[100, 140] += 1
    assert exact_plane(1.0, 1.0, expected) is None
