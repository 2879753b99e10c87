"""Biquads and decimation: C equals numpy on real signals, chunks equal the whole, and both agree with scipy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from sandgrain.base.errors import ModelError, UsageError
from sandgrain.compiler.emit import bundle
from sandgrain.device.toolchain import build_shared
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal import biquad, decimate
from sandgrain.graph.ops.signal.filters import butterworth, lowpass_taps, peak_gain
from tests.support.draws import rare
from tests.support.feature_windows import audio_windows, check_everywhere, motion_windows, source_of


def graph_of(op: str, samples: int, channels: int, a: Attrs) -> Graph:
    x = Tensor("x", (1, samples, channels), "int16")
    return one_op(op, (x,), (Tensor("y", OPS[op].shapes((x,), a)[0], "int16"),), a)


def run(op: str, x: Array, a: Attrs) -> Array:
    """int16 [samples] through the op's reference."""
    return interpret.run(graph_of(op, len(x), 1, a), [x.reshape(1, -1, 1)])[0][0, :, 0]


def noise(count: int, deviation: float = 3000.0, offset: float = 0.0) -> Array:
    rng = np.random.default_rng(7)
    return np.clip(rng.standard_normal(count) * deviation + offset, -32768, 32767).astype(np.int16)


# --- real windows, everywhere --------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize(
    ("kind", "order", "cutoff"), [("highpass", 2, (1.0,)), ("lowpass", 4, (20.0,)), ("bandpass", 4, (2.0, 40.0))]
)
def test_a_biquad_of_motion_is_the_same_everywhere(kind: str, order: int, cutoff: tuple[float, ...]) -> None:
    a = biquad.attributes(kind, order, cutoff, 119)
    check_everywhere(graph_of("biquad", 60, 6, a), list(motion_windows(60)))


@rare
def test_a_biquad_of_audio_is_the_same_everywhere() -> None:
    a = biquad.attributes("highpass", 4, (80.0,), 8000)
    check_everywhere(graph_of("biquad", 400, 1, a), list(audio_windows(400)))


def test_decimated_motion_is_the_same_everywhere() -> None:
    check_everywhere(graph_of("decimate", 119, 6, decimate.attributes(3, 12, 40.0)), list(motion_windows(119)))


@rare
def test_decimated_audio_is_the_same_everywhere() -> None:
    check_everywhere(graph_of("decimate", 400, 1, decimate.attributes(4)), list(audio_windows(400)))


# --- streams --------------------------------------------------------------------------------------------------------------


def stepper(graph: Graph, folder: Path) -> Callable[[Array, Array, Array, int], int]:
    """step(state, in, out, count) of the graph's one op, compiled with its parameters."""
    source = source_of(graph, "host")
    bundle.write(source, folder)
    (node,) = graph.nodes
    returns = "return " if node.op == "decimate" else ""
    text = (
        "\nint32_t step(void *state, const int16_t *in, int16_t *out, int32_t count);\n"
        "int32_t step(void *state, const int16_t *in, int16_t *out, int32_t count)\n{\n"
        f"    {returns}sg_{node.op}_s16_step(&front_p0, state, in, out, count);\n"
        + ("" if returns else "    return count;\n")
        + "}\n"
    )
    (folder / "step.c").write_text(source.body + text, "ascii")
    build_shared([folder / "step.c"], folder / "step.so", include_dirs=[folder])
    function = ctypes.CDLL(str(folder / "step.so")).step

    def step(state: Array, x: Array, out: Array, count: int) -> int:
        return int(function(*(ctypes.c_void_p(v.ctypes.data) for v in (state, x, out)), count))

    return step


@rare
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("op", "a"),
    [
        ("biquad", biquad.attributes("highpass", 2, (1.0,), 119)),
        ("biquad", biquad.attributes("bandpass", 4, (300.0, 3000.0), 16000)),
        ("decimate", decimate.attributes(3, 12, 40.0)),
        ("decimate", attrs(factor=5, half=(20000,))),
    ],
)
def test_a_stream_in_chunks_gives_what_the_whole_gives(op: str, a: Attrs, channels: int, tmp_path: Path) -> None:
    samples = 1003
    graph = graph_of(op, samples, channels, a)
    x = noise(samples * channels).reshape(1, samples, channels)
    whole = interpret.run(graph, [x])[0][0]
    step = stepper(graph, tmp_path)
    hint = OPS[op].step(graph.view(graph.nodes[0]))
    assert hint is not None and hint.takes == "samples" and hint.state % 4 == 0
    rng = np.random.default_rng(1)
    for longest in (1, 7, 50, 400):
        state = np.zeros(hint.state // 4, np.int32)
        got, start = [], 0
        while start < samples:
            count = min(int(rng.integers(0, longest, endpoint=True)), samples - start)
            chunk = x[0, start : start + max(count, 1)].copy()
            out = chunk if op == "biquad" else np.zeros((samples, channels), np.int16)  # a biquad may write over its input
            written = step(state, chunk, out, count)
            got.append(out[:written].copy())
            start += count
        assert np.array_equal(np.concatenate(got), whole), longest


# --- what they compute ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize(
    ("kind", "cutoff"),
    [
        ("highpass", (20.0,)),
        ("highpass", (300.0,)),
        ("lowpass", (50.0,)),
        ("lowpass", (3000.0,)),
        ("bandpass", (300.0, 3400.0)),
        ("bandpass", (45.0, 55.0)),
    ],
)
def test_a_biquad_is_scipys_within_one_unit(kind: str, cutoff: tuple[float, ...], order: int) -> None:
    """The rounding to int16 and half a unit for all else."""
    x = noise(16000, offset=5000)
    edges = cutoff if len(cutoff) > 1 else cutoff[0]
    theirs = signal.sosfilt(signal.butter(order, edges, kind, fs=16000, output="sos"), x.astype(float))
    ours = run("biquad", x, biquad.attributes(kind, order, cutoff, 16000))
    assert np.abs(ours - theirs).max() <= 1.0


@pytest.mark.parametrize("order", [2, 4])
def test_a_high_pass_at_1_hz_and_16_khz_removes_an_offset_to_the_last_unit(order: int) -> None:
    x = np.full(128000, 12345, np.int16)
    y = run("biquad", x, biquad.attributes("highpass", order, (1.0,), 16000))
    assert y[0] > 12330 and not y[-16000:].any()


def test_silence_stays_silence_after_a_click() -> None:
    """No limit cycle is heard: what rounding leaves is below half a unit."""
    x = np.zeros(20000, np.int16)
    x[:100] = 30000
    for kind, cutoff in (("highpass", (20.0,)), ("lowpass", (20.0,)), ("bandpass", (45.0, 55.0))):
        y = run("biquad", x, biquad.attributes(kind, 4, cutoff, 1000))
        assert not y[-1000:].any(), kind


@pytest.mark.parametrize("kind", ["highpass", "lowpass", "bandpass"])
def test_the_worst_signal_for_a_filter_saturates_and_does_not_wrap(kind: str) -> None:
    """Signs chosen against the impulse response: the largest output that any int16 signal can give."""
    cutoff = (20.0, 25.0) if kind == "bandpass" else (20.0,)
    a = biquad.attributes(kind, 4, cutoff, 200)
    sos = signal.butter(4, cutoff if len(cutoff) > 1 else cutoff[0], kind, fs=200, output="sos")
    response = signal.sosfilt(sos, np.eye(1, 600)[0])
    x = np.where(response[::-1] >= 0, 32767, -32768).astype(np.int16)
    theirs = signal.sosfilt(sos, x.astype(float))
    assert theirs[-1] > 32767
    assert np.abs(run("biquad", x, a) - np.clip(theirs, -32768, 32767)).max() <= 2.0


def test_peak_gain_bounds_the_response_of_a_section() -> None:
    for section in butterworth("bandpass", 4, (10.0, 30.0), 1000):
        scale = 2.0**30
        response = signal.lfilter(
            np.array([1, section.zero, 1]) * section.gain, [1, section.a1 / scale, section.a2 / scale], np.eye(1, 20000)[0]
        )
        assert np.abs(response).sum() == pytest.approx(peak_gain(section), rel=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_taps_pass_the_band_and_stop_what_would_fold_back(factor: int) -> None:
    taps = np.array(lowpass_taps(factor)) / 32768
    frequency, response = signal.freqz(taps, worN=4096)
    level = 20 * np.log10(np.maximum(np.abs(response), 1e-9))
    edge = np.pi / factor
    assert taps.sum() == 1 and np.array_equal(taps, taps[::-1])
    assert level[frequency >= edge].max() < -56  # designed for 60, rounded to Q15
    assert np.abs(level[frequency <= 0.6 * edge]).max() < 0.1


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_taps_are_nearly_scipys(factor: int) -> None:
    ours = np.array(lowpass_taps(factor)) / 32768
    middle = 1 - (60 - 7.95) / (2.285 * 20) / 2 / np.pi  # of half the new rate
    theirs = signal.firwin(len(ours), middle / factor, window=("kaiser", signal.kaiser_beta(60)))
    assert np.abs(ours - theirs).max() < 1.2 / 32768


@pytest.mark.parametrize("factor", [2, 5])
def test_decimation_is_scipys_upfirdn_rounded(factor: int) -> None:
    x, a = noise(4000), decimate.attributes(factor)
    taps = np.array(decimate.all_taps(a["half"])) / 32768
    theirs = signal.upfirdn(taps, x.astype(float))[factor - 1 : 4000 : factor]
    assert np.abs(run("decimate", x, a) - theirs).max() <= 0.5


# --- what is refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "order", "cutoff", "rate", "said"),
    [
        ("notch", 2, (5.0,), 100, "highpass"),
        ("highpass", 3, (5.0,), 100, "2 or 4"),
        ("highpass", 2, (50.0,), 100, "50 Hz"),
        ("highpass", 2, (float("nan"),), 100, "50 Hz"),
        ("bandpass", 2, (20.0, 10.0), 100, "rise"),
        ("bandpass", 2, (20.0,), 100, "2 cutoff"),
        ("lowpass", 2, (1.0,), 0, "positive"),
        ("highpass", 2, (0.1,), 48000, "decimate first"),
    ],
)
def test_a_filter_that_cannot_be_had_is_refused(kind: str, order: int, cutoff: Sequence[float], rate: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        biquad.attributes(kind, order, cutoff, rate)


def test_decimation_that_cannot_be_had_is_refused() -> None:
    for arguments in ((1,), (65,), (64, 60), (4, 6, 60.0)):
        with pytest.raises(UsageError):
            decimate.attributes(*arguments)


def test_coefficients_that_could_overflow_are_refused() -> None:
    good = biquad.attributes("lowpass", 2, (10.0,), 100)
    bad = (
        {"fraction": 14},
        {"a2": (1 << 30,)},  # a pole on the circle
        {"a1": (-(2**31) + 1,)},
        {"zero": (3,)},
        {"shift": (0, 0)},
        {"multiplier": (2**31 - 1,), "shift": (0,)},
    )
    for change in bad:
        with pytest.raises(ModelError):
            rules.check(graph_of("biquad", 10, 1, attrs(**{**good, **change})))
    with pytest.raises(ModelError, match="overflow"):
        rules.check(graph_of("decimate", 10, 1, attrs(factor=2, half=(30000, 30000))))
