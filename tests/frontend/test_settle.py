"""The measure of a recording's own seconds: what it computes, on whole windows and streams, and the bytes everywhere."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandgrain.base.errors import SandgrainError
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from tests.support.draws import rare
from tests.support.feature_windows import check_everywhere

ENDS = (-32768, -32767, -1, 0, 1, 32766, 32767)
FEW = 12  # windows on an emulated core


def graph(samples: int, channels: int, **a: Any) -> Graph:
    """The op alone."""
    x, options = Tensor("x", (1, samples, channels), "int16"), attrs(**a)
    made = one_op("settle", (x,), (Tensor("y", OPS["settle"].shapes((x,), options)[0], "int16"),), options)
    rules.check(made)
    return made


def run(x: Array, **a: Any) -> Array:
    """int16 [samples, channels] through the op's reference."""
    return np.asarray(interpret.run(graph(*x.shape, **a), [x[np.newaxis]])[0][0], int)


def plain(channel: list[int], lead: int, *, follows: bool, scaled: bool) -> list[tuple[int, int]]:
    """(lowest, highest) that each output of one channel may be, by exact fractions: half a unit, and the multiplier's 2^-30, around it."""
    found = []
    for t in range(lead, len(channel)):
        own = channel[t - lead : t] if follows else channel[:lead]
        apart = channel[t] - Fraction(sum(own), lead)
        if not scaled:
            exact, slack = apart, Fraction(1, 2)
        else:
            spread = lead * sum(v * v for v in own) - sum(own) ** 2
            deviation = Fraction(max(math.isqrt(spread), lead), lead)
            exact = 1024 * apart / deviation
            slack = Fraction(1, 2) + abs(exact) / 2**29
        low, high = math.ceil(exact - slack), math.floor(exact + slack)
        found.append((max(min(low, 32767), -32768), max(min(high, 32767), -32768)))
    return found


@st.composite
def signals(draw: st.DrawFn) -> tuple[Array, int]:
    lead, behind, channels = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 3))
    size = draw(st.sampled_from((1, 3, 200, 32768)))
    one = st.one_of(st.sampled_from(ENDS), st.integers(-size, size - 1))
    values = draw(st.lists(one, min_size=(lead + behind) * channels, max_size=(lead + behind) * channels))
    return np.array(values, np.int16).reshape(lead + behind, channels), lead


@settings(max_examples=150, deadline=None)
@given(signals(), st.booleans(), st.booleans())
def test_a_sample_is_measured_by_mean_and_deviation(drawn: tuple[Array, int], follows: bool, scaled: bool) -> None:
    x, lead = drawn
    ours = run(x, lead=lead, follows=follows, scaled=scaled)
    for c in range(x.shape[1]):
        for y, (low, high) in zip(
            ours[:, c].tolist(), plain(x[:, c].tolist(), lead, follows=follows, scaled=scaled), strict=True
        ):
            assert low <= y <= high


def extremes(samples: int, channels: int, count: int = 200) -> list[Array]:
    """Noise of all sizes on offsets of all sizes, values at the ends, constants, and a lead that stands still."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((count, samples, channels)) * 2.0 ** rng.uniform(-2, 15, (count, 1, channels))
    x += rng.uniform(-30000, 30000, (count, 1, channels))
    x[::5] = rng.choice(ENDS, x[::5].shape)
    x[1::5] = rng.choice(ENDS, (len(x[1::5]), 1, channels))
    x[2::5, : samples // 2] = x[2::5, :1]
    return list(np.rint(x).clip(-32768, 32767).astype(np.int16))


@pytest.mark.parametrize(
    ("follows", "scaled"),
    [(False, True), (True, True), pytest.param(True, False, marks=rare), pytest.param(False, False, marks=rare)],
)
def test_the_bytes_are_the_same_everywhere(follows: bool, scaled: bool) -> None:
    made = graph(40, 3, lead=15, follows=follows, scaled=scaled)
    check_everywhere(made, extremes(40, 3), emulate=FEW)


@pytest.mark.parametrize("follows", [False, True])
def test_the_longest_lead_does_not_overflow(follows: bool) -> None:
    lead = 32768
    for low, high in ((-32768, 32767), (32767, 32767), (-32768, -32768)):
        x = np.full((lead + 3, 1), low, np.int16)
        x[lead // 2 : lead] = high
        x[lead:, 0] = (-32768, 32767, 0)
        made = graph(*x.shape, lead=lead, follows=follows, scaled=True)
        check_everywhere(made, [x], emulate=0)
        first = run(x, lead=lead, follows=follows, scaled=True)[0, 0]
        assert first == (-1024 if low < high else 0 if low < 0 else -32768)


MOTION = Signal("motion", (30, 2), 10.0)


def test_a_block_takes_its_lead_in_front_of_the_window() -> None:
    made = Pipeline(MOTION, parse([{"block": "settle", "seconds": 2}, {"block": "statistics", "which": ["mean", "std"]}]))
    assert made.lead == 20 and made.shape == (4,)
    assert made.raw is not None and made.raw.tensors[0].shape == (1, 50, 2)
    full = made.graph(Normalization((0.0,) * 4, (1.0,) * 4))
    assert [n.op for n in full.nodes] == ["settle", "statistics", "standardize"]


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        ([{"block": "difference"}, {"block": "settle", "seconds": 1}], "settle comes first"),
        ([{"block": "settle", "seconds": 1}, {"block": "settle", "seconds": 1}], "settle comes first"),
        ([{"block": "settle", "seconds": 0.01}], "are 0 samples at 10 Hz"),
        ([{"block": "settle", "seconds": 5000}], "up to 3277 s"),
        ([{"block": "settle"}], "seconds"),
    ],
)
def test_what_cannot_be_is_refused(blocks: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(SandgrainError, match=why):
        Pipeline(MOTION, parse([*blocks, {"block": "raw"}]))
