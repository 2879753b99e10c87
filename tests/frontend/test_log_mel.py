"""log_mel: the filterbanks, the numbers against librosa and float64, the bytes on every core, and what it costs."""

from __future__ import annotations

from functools import cache
from typing import Any

import librosa
import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Tensor, attrs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.magnitude import magnitude_s32
from sandgrain.graph.ops.signal.mel import filterbank
from sandgrain.graph.quantization import per_tensor
from tests.support import audio_recipes, feature_windows
from tests.support.draws import rare

SECOND = {
    "rate": 16000, "window": 480, "hop": 320, "fft": 512, "taper": "hann", "bands": 40, "low": 20.0, "high": 8000.0,
    "scale": "htk", "norm": "none", "power": 2, "floor": 1e-6, "peak": False,
}  # fmt: skip
SHORT = {**SECOND, "rate": 8000, "window": 200, "hop": 80, "fft": 256, "high": 4000.0}


def graph(samples: int, dtype: str = "int16", **changed: Any) -> Graph:
    """One log_mel; with int8, a logarithm of -13.8 to +11.7 fits."""
    a = {**SECOND, **changed}
    shape = (1, 1 + (samples - a["window"]) // a["hop"], a["bands"])
    quant = per_tensor(2.0**-10, 0) if dtype == "int16" else per_tensor(0.1, 11)
    return one_op("log_mel", (Tensor("x", (1, samples, 1), "int16"),), (Tensor("y", shape, dtype, quant),), attrs(**a))


def logs(made: Graph, x: Array) -> Array:
    """Real logarithms [frames, bands] of int16 samples."""
    rules.check(made)
    return interpret.run(made, [x.reshape(1, -1, 1)])[0][0] / 2.0**10


@cache
def second() -> Array:
    return feature_windows.audio_windows(16000, 3)[1].reshape(-1)


# --- filterbanks ----------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("norm", ["none", "slaney"])
@pytest.mark.parametrize("scale", ["htk_hertz", "slaney"])
@pytest.mark.parametrize(("rate", "fft", "bands", "low", "high"), [(16000, 512, 40, 0.0, 8000.0), (8000, 256, 20, 50.0, 3800.0)])
def test_the_weights_are_librosas(scale: str, norm: str, rate: int, fft: int, bands: int, low: float, high: float) -> None:
    bank = filterbank({"rate": rate, "fft": fft, "bands": bands, "low": low, "high": high, "scale": scale, "norm": norm})
    theirs = librosa.filters.mel(
        sr=rate,
        n_fft=fft,
        n_mels=bands,
        fmin=low,
        fmax=high,
        htk=scale == "htk_hertz",
        norm=None if norm == "none" else "slaney",
        dtype=np.float64,
    )
    assert np.allclose(bank.matrix(fft // 2 + 1), theirs.T, rtol=0, atol=1e-12)


def test_the_weights_of_htk_are_tensorflows() -> None:
    bank = filterbank({**SECOND, "high": 4000.0})
    assert np.allclose(bank.matrix(257), audio_recipes.mel_weights(), rtol=0, atol=1e-12)
    assert bank.counts.sum() == len(bank.rise) == 127


def test_a_magnitude_is_right_to_1_in_4000() -> None:
    draw = np.random.default_rng(0)
    size = 2.0 ** draw.uniform(15, 31, 20000)
    re, im = (size * draw.uniform(-1, 1, (2, 20000))).astype(np.int32)
    exact = np.hypot(re.astype(float), im.astype(float))
    assert np.abs(magnitude_s32(re, im) / exact - 1)[exact > 2**15].max() < 1 / 4000
    assert magnitude_s32([0, -1, -(2**31)], [0, 0, -(2**31)]).tolist() == [0, 0, 46341 << 16]


# --- the numbers -----------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("norm", ["none", "slaney"])
@pytest.mark.parametrize("scale", ["htk_hertz", "slaney"])
def test_the_logarithms_are_librosas(scale: str, norm: str) -> None:
    """Within 0.03 (3 %) in the quietest band of a frame of speech, and 0.001 in most."""
    x = second()
    theirs = librosa.feature.melspectrogram(
        y=x / 2.0**15, sr=16000, n_fft=512, hop_length=320, win_length=512, window="hann", center=False, power=2.0,
        n_mels=40, fmin=0.0, fmax=8000.0, htk=scale == "htk_hertz", norm=None if norm == "none" else "slaney",
        dtype=np.float64,
    )  # fmt: skip
    floor = 1e-6 if norm == "none" else 1e-8
    ours = logs(graph(16000, window=512, scale=scale, norm=norm, low=0.0, floor=floor), x)
    error = np.abs(ours - np.log(theirs.T + floor))
    assert error.max() < 0.03
    assert np.median(error) < 0.001


@pytest.mark.parametrize("power", [1, 2])
def test_the_logarithms_are_those_of_float64(power: int) -> None:
    ours = logs(graph(16000, power=power), second())
    error = np.abs(ours - audio_recipes.log_mel(second() / 2.0**15, power, high=8000.0))
    assert error.max() < 0.01
    assert np.median(error) < 0.001


@pytest.mark.parametrize("taper", ["rect", "hann"])
@pytest.mark.parametrize("power", [1, 2])
def test_the_loudest_signals_overflow_nothing(power: int, taper: str) -> None:
    """Square waves, an impulse and an offset at full scale."""
    n = np.arange(480)
    waves = [np.where(np.sin(2 * np.pi * f / 512 * n + 0.1) > 0, 32767, -32768) for f in (1, 8, 100, 255)]
    waves += [np.full(480, -32768), np.where(n == 240, -32768, 0)]
    for wave in waves:
        x = wave.astype(np.int16)
        ours = logs(graph(480, power=power, taper=taper, floor=1e-3), x)
        shape = audio_recipes.hann() if taper == "hann" else np.ones(480)
        mel = np.abs(np.fft.rfft(x / 2.0**15 * shape, 512)) ** power @ audio_recipes.mel_weights(high=8000.0)
        error = np.abs(np.exp(ours / power) - (mel + 1e-3) ** (1 / power))
        assert np.all(error < 0.005 * (mel + 1e-3) ** (1 / power) + 1e-4 * mel.max() ** (1 / power))  # 16-bit tapers, twiddles


@pytest.mark.parametrize("peak", [False, True])
@pytest.mark.parametrize("floor", [1e-11, 1e-6, 1.0])
@pytest.mark.parametrize("power", [1, 2])
def test_silence_is_the_floor(power: int, floor: float, peak: bool) -> None:
    ours = logs(graph(480, power=power, floor=floor, peak=peak), np.zeros(480, np.int16))
    assert np.abs(ours - np.log(floor)).max() < (0.05 if floor < 1e-10 else 0.002)


def test_with_peak_the_volume_does_not_matter() -> None:
    """A signal 42 dB below full scale against the same at full scale: what differs is that it has 9 bits instead of 16."""
    made = graph(16000, power=1, peak=True)
    whole = second() * (32767 / second().max())
    loud, quiet = (logs(made, np.round(whole * gain).astype(np.int16)) for gain in (1.0, 1 / 128))
    exact = audio_recipes.log_mel(np.round(whole / 128) / np.round(whole / 128).max(), high=8000.0)
    assert np.abs(quiet - exact).max() < 0.02
    assert np.median(np.abs(loud - quiet)[:, :10]) < 0.1


def test_a_stream_calls_one_frame_at_a_time() -> None:
    x, whole = second()[:1440], logs(graph(1440), second()[:1440])
    rows = [logs(graph(480), x[i * 320 : i * 320 + 480])[0] for i in range(4)]
    assert np.array_equal(whole, np.stack(rows))


# --- the bytes -------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "int8"},
        {"dtype": "int16", "power": 1, "peak": True, "scale": "slaney", "norm": "slaney", "taper": "hamming"},
    ],
    ids=["power", "magnitude"],
)
def test_the_bytes_are_the_same_everywhere(changed: dict[str, Any]) -> None:
    made = graph(280, **{**SHORT, **changed})
    feature_windows.check_everywhere(made, list(feature_windows.audio_windows(280)))


# --- the cost --------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("opt", ["-O2", "-O3"])
def test_a_second_of_audio_costs_less_than_2500000_instructions(opt: str) -> None:
    """49 frames from scratch on Cortex-M4, 40 bands, int8 out; and the RAM beside the audio, stack included."""
    made = graph(16000, "int8")
    trace = feature_windows.profile(made, second(), "cortex-m4", opt)
    assert trace.instructions < 1_600_000  # the issue asks for 2,500,000
    scratch, out = 4 * 512, 49 * 40
    assert trace.stack_bytes is not None
    assert scratch + out + trace.stack_bytes < 5 * 1024
    source = feature_windows.source_of(made, "cortex-m4")
    assert source.plan.arena_bytes <= scratch + out + 2 * 16000 + 16


@rare
@pytest.mark.parametrize("opt", ["-O2", "-O3"])
def test_a_hop_costs_less_than_55000_instructions(opt: str) -> None:
    trace = feature_windows.profile(graph(480, "int8"), second()[:480], "cortex-m4", opt)
    assert trace.instructions < 33_000  # the issue asks for 55,000


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"fft": 500}, "an FFT of 500 points"),
        ({"fft": 256}, "frames of 480 samples exceed an FFT of 256 points"),
        ({"bands": 200}, "200 bands; 1 to 128"),
        ({"high": 9000.0}, "half the rate"),
        ({"low": 8000.0}, "low < high"),
        ({"scale": "bark"}, "no mel scale is called 'bark'"),
        ({"norm": "energy"}, "no norm is called 'energy'"),
        ({"taper": "kaiser"}, "no taper is called 'kaiser'"),
        ({"power": 3}, "power 3"),
        ({"floor": 0.0}, "a floor of 0.0"),
        (
            {"floor": 1.0, "norm": "slaney", "power": 1, "bands": 1, "window": 200, "fft": 256},
            "a floor of 1.0 on bands of this norm",
        ),
        ({"hop": 0}, "every 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changed: dict[str, Any], fact: str) -> None:
    a = {**SECOND, **changed}
    shape = (1, 1, a["bands"])
    x, y = Tensor("x", (1, 480, 1), "int16"), Tensor("y", shape, "int16", per_tensor(2.0**-10, 0))
    with pytest.raises(ModelError, match=fact) as caught:
        rules.check(one_op("log_mel", (x,), (y,), attrs(**a)))
    assert "\n" not in str(caught.value)


def test_two_channels_and_a_short_signal_are_refused() -> None:
    y = Tensor("y", (1, 1, 40), "int16", per_tensor(2.0**-10, 0))
    with pytest.raises(ModelError, match="2 channels"):
        rules.check(one_op("log_mel", (Tensor("x", (1, 480, 2), "int16"),), (y,), attrs(**SECOND)))
    with pytest.raises(ModelError, match="frames of 480 samples every 320 of 479"):
        rules.check(one_op("log_mel", (Tensor("x", (1, 479, 1), "int16"),), (y,), attrs(**SECOND)))
