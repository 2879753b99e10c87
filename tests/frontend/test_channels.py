"""Differences, magnitudes and correlations: C equals numpy on real and extreme windows, and each is what it is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy import signal

from sandgrain.base.errors import ModelError, SandgrainError
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.blocks.motion import Statistic
from sandgrain.frontend.pipeline import Pipeline
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Attrs, Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal import vibration
from sandgrain.graph.ops.signal.correlation import WHOLE, correlations
from sandgrain.graph.ops.signal.moments import STATISTICS
from sandgrain.graph.ops.signal.vector_length import shift_of
from sandgrain.graph.quantization import per_tensor
from sandgrain.project import inspection
from sandgrain.project.file import load
from tests.support import sensor_project
from tests.support.draws import rare
from tests.support.feature_windows import check_everywhere, motion_windows

ENDS = np.array([-32768, -32767, -1, 0, 1, 32766, 32767])
FEW = 12  # windows on an emulated core


def chain(samples: int, channels: int, *steps: tuple[str, Attrs]) -> Graph:
    """int16 [1, samples, channels] through ops without scales."""
    tensors, nodes = [Tensor("x", (1, samples, channels), "int16")], []
    for k, (op, a) in enumerate(steps):
        tensors.append(Tensor(f"t{k}", OPS[op].shapes((tensors[-1],), a)[0], "int16"))
        nodes.append(Node(op, f"n{k}", (k,), (k + 1,), a))
    return Graph("chain", tuple(tensors), tuple(nodes), (0,), (len(nodes),))


def run(x: Array, op: str, **a: Any) -> Array:
    """int16 [samples, channels] through one op's reference."""
    made = chain(*x.shape, (op, attrs(**a)))
    rules.check(made)
    return np.asarray(interpret.run(made, [x[np.newaxis]])[0][0], int)


def extremes(samples: int, channels: int, count: int = 300) -> Array:
    """int16 [count, 1, samples, channels]: noise of all sizes, values at the ends, constants, copies and opposites of a channel."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((count, 1, samples, channels)) * 2.0 ** rng.uniform(-1, 16, (count, 1, 1, channels))
    x[::4] = rng.choice(ENDS, x[::4].shape)
    x[1::4, :, :, 1:] = x[1::4, :, :, :1] * np.array([1, -1, 0.5])[np.arange(channels - 1) % 3]
    x[2::8] = rng.choice(ENDS, (len(x[2::8]), 1, 1, channels))
    return np.rint(x).clip(-32768, 32767).astype(np.int16)


# --- the bytes -----------------------------------------------------------------------------------------------------------------

LENGTH = ("vector_length", attrs(channels=(0, 1, 2), keep=True))
COLUMNS = ("statistics", attrs(which=("mean", "std"), correlation=True))


@pytest.mark.parametrize(("held", "coefficient", "shift"), [(True, 32768, 0), pytest.param(False, 31785, 1, marks=rare)])
def test_the_bytes_of_extreme_windows_are_the_same_everywhere(held: bool, coefficient: int, shift: int) -> None:
    made = chain(40, 3, ("difference", attrs(coefficient=coefficient, held=held, shift=shift)), LENGTH, COLUMNS)
    check_everywhere(made, list(extremes(40, 3)), emulate=FEW)


@rare
def test_correlations_behind_a_spectrum_are_the_same_everywhere() -> None:
    a = vibration.attributes(119, 119.0, fft=64, edges=(0, 10, 30, 59.5), peaks=1)
    made = chain(119, 6, ("vibration", attrs(**a, correlation=True)))
    check_everywhere(made, [*motion_windows(119, 200), *extremes(119, 6, 100)], emulate=FEW)


@rare
def test_magnitudes_of_motion_are_the_same_everywhere() -> None:
    made = chain(
        60,
        6,
        ("vector_length", attrs(channels=(3, 4, 5), keep=False)),
        ("vector_length", attrs(channels=(0, 1, 2, 3), keep=True)),
    )
    check_everywhere(made, list(motion_windows(60)), emulate=FEW)


# --- what they compute ------------------------------------------------------------------------------------------------------------


def test_pre_emphasis_is_scipys_filter_rounded() -> None:
    x = extremes(100, 2, 8)
    for window in x[:, 0]:
        theirs = signal.lfilter([1, -31785 / 32768], [1], window.astype(float), axis=0)
        for shift in (0, 1):
            ours = run(window, "difference", coefficient=31785, held=False, shift=shift)
            assert np.abs(ours - np.clip(theirs / 2**shift, -32768, 32767)).max() <= 0.5


def test_a_difference_of_neighbours_is_exact_and_begins_with_0() -> None:
    for window in extremes(50, 3, 40)[:, 0]:
        ours = run(window, "difference", coefficient=32768, held=True, shift=0)
        assert not ours[0].any()
        assert np.array_equal(ours[1:], np.clip(np.diff(window.astype(int), axis=0), -32768, 32767))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16])
def test_a_magnitude_is_the_root_rounded_down_and_saturates_at_the_very_end_alone(count: int) -> None:
    x = np.concatenate([extremes(40, count + 1, 20)[:, 0].reshape(-1, count + 1), np.full((1, count + 1), -32768)]).astype(
        np.int16
    )
    ours = run(x, "vector_length", channels=tuple(range(1, count + 1)), keep=False)
    assert np.array_equal(ours[:, 0], x[:, 0])
    squares = (x[:, 1:].astype(int) ** 2).sum(1)
    unit = 2 ** shift_of(count)
    low = ours[:, 1].astype(int) * unit
    saturated = ours[:, 1] == 32767
    assert np.all(low**2 <= squares) and np.all(((low + unit) ** 2 > squares) | saturated)
    assert np.all(squares[saturated] >= (32767 * unit) ** 2)
    assert unit <= 1 or np.sqrt(squares.max()) > 16384 * unit  # no bit more is lost than must be


@pytest.mark.parametrize("samples", [2, 3, 40, 4000])
def test_correlations_are_numpys_within_a_unit(samples: int) -> None:
    for window in extremes(samples, 4, 60)[:, 0]:
        ours = np.array(correlations(window)) / WHOLE
        flat = (window == window[0]).all(axis=0)
        varying = window.astype(float) + np.where(flat, np.arange(samples)[:, np.newaxis] % 2, 0)  # so that numpy divides by no 0
        theirs = np.corrcoef(varying.T)
        pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
        wanted = [0.0 if flat[a] or flat[b] else theirs[a, b] for a, b in pairs]
        assert np.abs(ours - wanted).max() <= 1 / WHOLE


def test_a_channel_and_its_copy_are_one_and_its_opposite_minus_one() -> None:
    x = np.array([[1, 1, -1, 7], [2, 2, -2, 7], [2, 2, -2, 7]], np.int16)
    assert correlations(x) == [WHOLE, -WHOLE, 0, -WHOLE, 0, 0]


# --- as blocks ------------------------------------------------------------------------------------------------------------------


def test_a_magnitude_says_its_unit() -> None:
    motion = Signal("motion", (20, 3), 50.0)
    alone = Pipeline(motion, parse([{"block": "magnitude"}, {"block": "raw"}]))
    beside = Pipeline(motion, parse([{"block": "magnitude", "channels": [0, 2], "keep": True}, {"block": "raw"}]))
    assert alone.shape == (20, 1) and alone.scales().tolist() == [2.0**-14]
    assert beside.shape == (20, 4) and beside.scales().tolist() == [2.0**-15] * 3 + [2.0**-14]


def test_channels_have_names_and_those_that_stay_keep_theirs() -> None:
    named = replace(MOTION, channels=tuple(Channel(name) for name in ("turn", "ax", "ay")))
    steps: list[dict[str, Any]] = [
        {"block": "magnitude", "channels": ["ay", "ax"]},
        {"block": "magnitude", "channels": ["magnitude"], "keep": True},
        {"block": "raw"},
    ]
    made = Pipeline(named, parse(steps)).raw
    assert made is not None
    first, second = made.nodes
    assert (first.attrs["channels"], second.attrs["channels"]) == ((2, 1), (1,))
    unlike = replace(MOTION, channels=(Channel("ax", "g", 4.0), Channel("ay", "g", 4.0), Channel("turn", "deg/s", 2000.0)))
    with pytest.raises(SandgrainError, match="full scales are 2000 deg/s and 4 g; name those that are alike"):
        Pipeline(unlike, parse([{"block": "magnitude"}, {"block": "raw"}]))
    with pytest.raises(SandgrainError, match=r"channels \['az'\]; name each once, of 0 turn, 1 ax, 2 ay"):
        Pipeline(named, parse([{"block": "magnitude", "channels": ["az"]}, {"block": "raw"}]))


def test_a_spectrum_of_halved_samples_has_the_same_full_scale() -> None:
    """Log-mel and spectrogram, of x and of x / 2 with a bit of headroom."""
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((1, 256, 1)) * 2000).astype(np.int16) * 2
    base = {"window": 128, "hop": 64, "fft": 128, "taper": "hann", "power": 2, "floor": 1e-6}
    mel = {"rate": 8000.0, "bands": 10, "low": 20.0, "high": 4000.0, "scale": "htk", "norm": "none", "peak": False}
    linear = {"precision": "int32", "log": True, "bins": (0, 64)}
    for op, options in (("log_mel", {**base, **mel}), ("spectrogram", {**base, **linear})):
        whole, half = (one_log(op, {**options, **more}, x // d) for more, d in (({}, 1), ({"headroom": 1}, 2)))
        assert np.abs(whole - half).max() <= 3  # units of 2^-10


def one_log(op: str, a: dict[str, Any], x: Array) -> Array:
    given = Tensor("x", x.shape, "int16")
    out = Tensor("y", OPS[op].shapes((given,), attrs(**a))[0], "int16", per_tensor(2.0**-10, 0))
    made = one_op(op, (given,), (out,), attrs(**a))
    rules.check(made)
    return np.asarray(interpret.run(made, [x])[0], int)


def test_a_project_may_name_every_statistic() -> None:
    assert set(get_args(Statistic)) == set(STATISTICS)


# --- what is refused --------------------------------------------------------------------------------------------------------------

MOTION = Signal("motion", (60, 3), 50.0)
FIXED = {"block": "normalize", "scale": 2.0, "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([{"block": "magnitude", "channels": [0, 3]}, {"block": "raw"}], r"channels \[0, 3\]; name each once, of 0, 1, 2"),
        ([{"block": "magnitude", "channels": [1, 1]}, {"block": "raw"}], "name each once"),
        ([{"block": "magnitude"}, {"block": "statistics", "correlation": True}], "`correlation` of 1 channels; it takes 2 to 16"),
        ([{"block": "pre-emphasis", "coefficient": 1.5}, {"block": "raw"}], "coefficient"),
        ([{"block": "spectrogram", "fft": 64, "window_ms": 1000, "hop_ms": 500, "taper": "kaiser"}], "taper"),
        ([{"block": "raw"}, {**FIXED, "clip": 3.0}], "`clip` does not go with `scale`"),
        ([{"block": "raw"}, {"block": "normalize", "offset": 1.0}], "`offset` needs `scale`"),
        ([{"block": "raw"}, {"block": "normalize", "scale": 1.0, "low": 1.0}], "`low` and `high` go together"),
        ([{"block": "raw"}, {**FIXED, "low": 2.0}], "low < high"),
        ([{"block": "raw"}, {"block": "normalize", "scale": -1.0}], "scale"),
    ],
)
def test_what_does_not_fit_is_one_line_with_a_way_out(blocks: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SandgrainError, match=words) as caught:
        Pipeline(MOTION, parse(blocks))
    assert "\n" not in str(caught.value)


def test_a_fixed_scale_needs_a_range_or_a_model() -> None:
    made = Pipeline(MOTION, parse([{"block": "raw"}, {"block": "normalize", "scale": 2.0}]))
    assert made.given is not None
    with pytest.raises(SandgrainError, match="give `low` and `high`"):
        made.graph(made.given)


@pytest.mark.parametrize(
    ("op", "a", "fact"),
    [
        ("difference", {"coefficient": 32769, "held": True, "shift": 0}, "a coefficient of 32769"),
        ("difference", {"coefficient": 1, "held": True, "shift": 2}, "a shift of 2"),
        ("vector_length", {"channels": (), "keep": True}, "name some"),
        ("vector_length", {"channels": (3,), "keep": True}, "of 3; name some"),
        ("statistics", {"which": ("mean",), "correlation": 1}, "correlation"),
    ],
)
def test_attributes_that_cannot_be_are_refused(op: str, a: dict[str, Any], fact: str) -> None:
    with pytest.raises(ModelError, match=fact):
        rules.check(chain(8, 3, (op, attrs(**a))))


def test_a_project_must_say_the_range_of_a_fixed_scale(tmp_path: Path) -> None:
    """No model brings one: `data` says so, before anything is trained."""
    place = sensor_project.project(tmp_path / "p", block='"normalize"\nscale = 2.0')
    found = inspection.inspect(load.load(place))
    assert "give `low` and `high`" in found.problem
    place = sensor_project.project(tmp_path / "q", block='"normalize"\nscale = 2.0\nlow = -1\nhigh = 1')
    assert not inspection.inspect(load.load(place)).problem
