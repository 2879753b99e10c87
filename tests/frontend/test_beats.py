"""The middle beat of a window against its neighbours: on pulses whose times, heights and shapes are known, and in C on random walks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.pipeline import Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal import beats
from tests.support.feature_windows import check_everywhere, motion_windows

RATE = 100.0
GIVEN = beats.attributes(span=7, gap=20, share=90, half=10, slack=3, points=7, rate=RATE)
NAMES = ("count", "before", "after", "early", "before_over", "after_over", "strength", "strength_over", "most", "least", "mean")
UNITS = (1, 1 / RATE, 1 / RATE, 2**-14, 1 / 256, 1 / 256, 2**-14, 1 / 256, 2**-14, 2**-14, 2**-14)


def graph_of(samples: int, channels: int, a: Attrs) -> Graph:
    x = Tensor("x", (1, samples, channels), "int16")
    return one_op("beats", (x,), (Tensor("y", OPS["beats"].shapes((x,), a)[0], "int16"),), a)


def pulses(at: Sequence[int], heights: Sequence[float], inverted: Sequence[int] = (), samples: int = 301) -> Array:
    """int16 [samples]: a pulse like that of a heart at each place."""
    t = np.arange(samples)
    x = np.zeros(samples)
    for k, (p, height) in enumerate(zip(at, heights, strict=True)):
        narrow, wide = np.exp(-(((t - p) / 2) ** 2)), np.exp(-(((t - p) / 6) ** 2)) * ((t - p) / 6)
        x += height * (3 * wide if k in inverted else narrow)
    return np.rint(1000 * x).astype(np.int16)


def told(x: Array) -> dict[str, float]:
    """The columns in front of the shape, in their units."""
    columns = beats.columns(x, GIVEN)
    return {name: value * unit for name, value, unit in zip(NAMES, columns[: beats.COMPARED], UNITS, strict=True)}


def test_an_early_beat_is_early_and_one_of_another_shape_is_unlike() -> None:
    usual = told(pulses([50, 150, 250], [8, 8, 8]))
    assert usual["count"] == 3 and usual["before"] == usual["after"] == 1.0 and usual["early"] == 0.5
    assert usual["before_over"] == usual["after_over"] == usual["strength"] == usual["strength_over"] == 1
    assert min(usual["most"], usual["least"], usual["mean"]) > 0.999
    early = told(pulses([80, 150, 280], [8, 8, 8]))
    assert early["before"] == pytest.approx(0.7, abs=0.02) and early["early"] == pytest.approx(0.35, abs=0.01)
    assert early["before_over"] == pytest.approx(0.7, abs=0.02) and early["after_over"] == pytest.approx(1.3, abs=0.02)
    odd = told(pulses([50, 150, 250], [8, 8, 8], inverted=[1]))
    assert odd["most"] < 0.8 < usual["least"]
    strong = told(pulses([50, 150, 250], [8, 16, 8]))
    assert strong["strength"] == 1 and strong["strength_over"] == pytest.approx(2, abs=0.01) and strong["least"] > 0.999
    two = told(pulses([50, 150, 250], [8, 8, 8], inverted=[2]))
    assert two["most"] > 0.999 > 0.8 > two["least"] and two["least"] < two["mean"] < two["most"]


def test_the_shape_is_that_about_the_beat_in_deviations() -> None:
    x = pulses([50, 150, 250], [8, 8, 8])
    shape = np.array(beats.columns(x, GIVEN)[beats.COMPARED :]) / 256
    about = x[140:161].reshape(7, 3).mean(axis=1)
    assert shape == pytest.approx((about - x.mean()) / x.std(), abs=0.01)


@pytest.mark.parametrize("x", [np.zeros(301, np.int16), np.full(301, -32768, np.int16)], ids=["silence", "stuck"])
def test_what_does_not_change_has_no_beat(x: Array) -> None:
    found = told(x)
    assert (found["count"], found["strength"], found["most"]) == (0, 0, 0) and found["before"] == found["after"] == 1.5
    assert not any(beats.columns(x, GIVEN)[beats.COMPARED :])


def test_the_loudest_signal_does_not_overflow() -> None:
    x = np.where(np.arange(32768) % 2, 32767, -32768).astype(np.int16)
    a = beats.attributes(span=beats.MAX_SPAN, gap=1000, share=0, half=20, slack=2, points=4, rate=RATE)
    check_everywhere(graph_of(32768, 1, a), [x[None, :, None]], emulate=0)


def test_beats_of_motion_are_the_same_everywhere() -> None:
    check_everywhere(graph_of(119, 6, GIVEN), list(motion_windows(119))[:12], emulate=4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape_ms": 5000}, "a window has to hold several beats"),
        ({"shape_ms": 40, "points": 15}, "15 points of a shape of 5 samples"),
        ({"span_ms": 1}, "less than one sample"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Pipeline(Signal("motion", (250, 1), RATE), parse([{"block": "beats", **options}]))
