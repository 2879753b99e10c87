"""Kernels of least code: their table, what they turn down, and who takes them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sandgrain.bundle import tune
from sandgrain.bundle.measure import Build
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import compile_bytes, emit
from sandgrain.compiler.plan import Choice, candidates
from sandgrain.device import targets
from sandgrain.device.run.elf import sections
from sandgrain.graph.ir import Graph, Tensor, View
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import quantize_multiplier, requantize
from sandgrain.kernels import Lowered, descriptors
from sandgrain.kernels.dense.dense_compact_s8 import DENSE
from sandgrain.kernels.shared.compact_table import BIAS_LIMIT, scale
from tests.conftest import ROOT
from tests.support.draws import SeededDraw, rare

M4 = targets.load("cortex-m4")
DIGITS = (ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes()


def c_scale(acc: int, doubled: int, shift: int) -> int:
    """sg_compact_scale, word by word; what leaves 32 bits is an error."""
    x = acc + ((acc * doubled + (1 << 31)) >> 32)
    total = 2 * x + (1 << shift >> 1) + (x >> 31)
    assert -(1 << 31) <= total < 1 << 31
    return total >> shift


@rare
@pytest.mark.parametrize("shift", range(0, -30, -1))
def test_the_short_rescaling_is_the_rule(shift: int) -> None:
    """Up to the largest sums that it is for; halves on both sides of zero."""
    rng = np.random.default_rng(-shift)
    sums = np.concatenate([rng.integers(-(1 << bits), 1 << bits, 200) for bits in (4, 10, 20, 29)])
    for multiplier in (1 << 30, (1 << 31) - 1, int(rng.integers(1 << 30, 1 << 31))):
        found = scale(multiplier, shift)
        assert found is not None
        step = 1 << -shift
        halves = np.array([step // 2, -(step // 2), step * 3 // 2, -(step * 3 // 2)]) * 2
        for acc in (*sums.tolist(), *halves[np.abs(halves) < 1 << 29].tolist()):
            assert c_scale(acc, *found) == requantize(np.array([acc]), np.int32(multiplier), np.int8(shift))[0], (acc, multiplier)


@pytest.mark.parametrize(("real", "fits"), [(0.3, True), (0.999, True), (1.0, False), (3.0, False), (2.0**-40, False)])
def test_multipliers_out_of_reach_are_known(real: float, fits: bool) -> None:
    assert (scale(*quantize_multiplier(real)) is not None) is fits


def takes(view: View) -> bool:
    return isinstance(DENSE.fit(view, ()), Lowered)


def dense(bias: int, weight: int = 1, depth: int = 4) -> View:
    """One unit of a fully connected layer."""
    for seed in range(100):
        graph = OPS["fully_connected"].sample(SeededDraw(seed))
        view = graph.view(graph.nodes[0])
        if len(view.inputs) > 2 and view.optional(2) is not None and takes(view):
            break
    x, weights, old = (view.input(k) for k in range(3))
    assert x.quant is not None and weights.quant is not None
    one = replace(weights.quant, scale=weights.quant.scale[:1], zero_point=(0,), axis=None)
    return View(
        view.node,
        (
            replace(x, shape=(1, depth), quant=replace(x.quant, zero_point=(0,))),
            replace(weights, shape=(1, depth), quant=one, data=np.full((1, depth), weight, np.int8)),
            Tensor("bias", (1,), "int32", old.quant, np.array([bias], np.int32)),
        ),
        (replace(view.out, shape=(1, 1)),),
    )


def test_a_bias_that_does_not_share_its_word_is_turned_down() -> None:
    assert takes(dense(BIAS_LIMIT - 1))
    assert not takes(dense(BIAS_LIMIT))
    assert not takes(dense(-BIAS_LIMIT - 1))


def test_sums_that_the_rescaling_cannot_hold_are_turned_down() -> None:
    """127 * 128 * 40,000 is over 2^29, below the 2^31 that a layer may have."""
    assert takes(dense(0, 127, 30_000))
    assert not takes(dense(0, 127, 40_000))


def digits() -> Graph:
    return compile_bytes(DIGITS, targets.load("host"), Options("m")).optimized


def flash_and_ram(graph: Graph, choice: Choice) -> int:
    build = Build(emit(graph, graph, M4, Options("m"), choice), M4, tune.toolchain_for("zig", "size"))
    with tempfile.TemporaryDirectory() as folder:
        return sum(sections(build.link(Path(folder) / "firmware.elf")).values())


@pytest.mark.slow
def test_only_size_looks_at_them_and_finds_no_smaller_set() -> None:
    graph = digits()
    names = {k.name for kernels in descriptors().values() for k in kernels if k.compact}
    for node in graph.nodes:
        assert not names & {k.name for k in candidates(graph, node, M4.core.features)}
    chosen = tune.choose(graph, M4, "zig", "size")
    assert names & set(chosen.kernels.values())
    least = flash_and_ram(graph, chosen)
    assert least < flash_and_ram(graph, Choice(shared=chosen.shared))
    for tensor, kernel in chosen.kernels.items():
        [node] = [n for n in graph.nodes if n.outputs[0] == tensor]
        for other in candidates(graph, node, M4.core.features, compact=True):
            if other.name != kernel:
                assert least <= flash_and_ram(graph, replace(chosen, kernels={**chosen.kernels, tensor: other.name}))
