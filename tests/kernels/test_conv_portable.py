"""The portable convolutions: one-multiply rescaling checked on every accumulator, packing, and the memory they share.

That the kernels equal the reference is tested from the registry: tests/ops on this computer, test_emulated.py on the cores.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sandgrain.graph.ir import Graph, View
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.quantization import requantize
from sandgrain.kernels import Refused
from sandgrain.kernels.proofs import output_thresholds as steps
from sandgrain.kernels.shared.overlap import pair_lead
from tests.support.draws import SeededDraw, rare, turns
from tests.support.emulated_graphs import cases, run
from tests.support.toy_firmware import compilers

CORES = {"cortex-m0plus": frozenset[str](), "cortex-m3": frozenset({"div"}), "rv32imc": frozenset({"div"})}


def short_form(acc: np.ndarray, channel: int, found: steps.Steps) -> np.ndarray:
    """What sg_scale gives for accumulators that include the bias of `found`, in numpy."""
    half = np.where(acc < 0, acc - (1 << 30), acc + (1 << 30)) if found.away else 0
    code = int(found.code[channel])
    high = (acc * int(found.multiplier[channel]) + half) >> 32
    return np.clip((high + (code >> 8)) >> (code & 31), -128, 127)


def draw_layer(draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, tuple[int, int]]:
    """Multipliers, shifts, weights, biases, output zero point and clamp of three channels; in a quarter halves are frequent."""
    round_one = draw.choice((1 << 30, 3 << 29, 0, 0, 0, 0, 0, 0))
    multiplier = np.array([round_one or draw.integer(1 << 30, (1 << 31) - 1) for _ in range(3)], np.int32)
    shift = draw.array((3,), -12, draw.choice((-5, -5, 0)), "int32")
    weights, bias = draw.array((3, draw.integer(1, 20)), -127, 127), draw.array((3,), -20000, 20000, "int64")
    zero = draw.choice((-128, draw.integer(-128, 127)))
    return multiplier, shift, weights, bias, zero, (draw.choice((-128, zero)), draw.choice((127, min(127, zero + 100))))


@rare
def test_one_multiply_gives_every_accumulator_what_two_roundings_give() -> None:
    seen: Counter[str] = Counter()
    for seed in range(150):
        multiplier, shift, weights, bias, zero, clamp = draw_layer(SeededDraw(seed))
        found = steps.find_steps(multiplier, shift, weights, bias, zero, clamp)
        if isinstance(found, Refused):
            seen["none"] += 1
            continue
        seen["away" if found.away else "up"] += 1
        for c in range(3):
            wide = weights[c].astype(np.int64)
            lowest, highest = (int(bias[c] + f(wide * -128, wide * 127).sum()) for f in (np.minimum, np.maximum))
            acc = np.arange(lowest, highest + 1, dtype=np.int64)
            expected = np.clip(requantize(acc, multiplier[c], shift[c]) + zero, *clamp)
            actual = np.clip(short_form(acc + (int(found.bias[c]) - int(bias[c])), c, found), *clamp)
            assert np.array_equal(actual, expected), (seed, c)
    assert min(seen["up"], seen["away"], seen["none"]) >= 8, seen


def test_the_first_multiple_between_two_bounds_is_the_first() -> None:
    for seed in range(300):
        draw = SeededDraw(seed)
        modulus = draw.integer(2, 400)
        step, low = draw.integer(1, modulus - 1), draw.integer(-500, 500)
        high = low + draw.integer(0, 30)
        inside = [n for n in range(modulus) if any((n * step - v) % modulus == 0 for v in range(low, high + 1))]
        assert steps._first_between(step, modulus, low, high) == (inside[0] if inside else None), seed


def pixels(view: View) -> list[list[int]]:
    """For each output pixel in order, the first byte of each input pixel that it reads."""
    _, in_h, in_w, in_c = view.input(0).shape
    (stride_h, stride_w), (dilation_h, dilation_w) = view.attrs["stride"], view.attrs["dilation"]
    top, _, left, _ = view.attrs["padding"]
    _, kernel_h, kernel_w, _ = view.input(1).shape
    found = []
    for n, oy, ox in np.ndindex(*view.out.shape[:3]):
        rows = [oy * stride_h - top + k * dilation_h for k in range(kernel_h)]
        columns = [ox * stride_w - left + k * dilation_w for k in range(kernel_w)]
        found.append([((n * in_h + y) * in_w + x) * in_c for y in rows if 0 <= y < in_h for x in columns if 0 <= x < in_w])
    return found


def test_a_pair_is_written_only_over_what_no_later_pair_reads() -> None:
    leads = set()
    for seed in range(200):
        graph: Graph = OPS["conv_2d"].sample(SeededDraw(seed))
        view = graph.view(graph.nodes[0])
        lead, reads, out_c = pair_lead(view), pixels(view), view.out.shape[3]
        assert len(reads) * out_c - lead <= view.input(0).size
        for done in range(2, len(reads), 2):
            assert done * out_c - lead <= min((p for later in reads[done:] for p in later), default=1 << 30), seed
        leads.add(lead > 0)
    assert leads == {False, True}


BLOCKS = [
    ("conv_2d", "conv_2d_pair_s8"),
    ("depthwise_conv_2d", "conv_2d_pair_s8"),
    ("fully_connected", "fully_connected_block_s8"),
]


@rare
@pytest.mark.parametrize(
    ("op", "kernel", "core"), turns([(*block, core) for block in BLOCKS for core in CORES], same=lambda b: b[0])
)
def test_the_inner_blocks_survive_other_compiler_settings(op: str, kernel: str, core: str) -> None:
    """Assembly and compilers meet differently at each level of optimization."""
    for k, compiler in enumerate(compilers(core)):
        for opt in ("-O0", "-O3"):
            outcome = run(list(cases(op, kernel, CORES[core], 90_000 + 1000 * k, 25)), core, compiler, opt)
            assert not outcome.failures, f"{compiler} {opt}: {outcome.failures[0]}"
