"""Statistics, vibration and standardization: C equals numpy on real IMU windows, and all agree with scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from sandgrain.base.errors import ModelError, UsageError
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Attrs, Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal import standardize, vibration
from sandgrain.graph.ops.signal import statistics as statistics_op
from sandgrain.graph.ops.signal.moments import STATISTICS
from sandgrain.graph.quantization import per_tensor
from tests.support.draws import rare
from tests.support.feature_windows import WINDOWS, audio_windows, check_everywhere, motion_windows

EVERY = tuple(STATISTICS)
RATE = 119.0
FEW = WINDOWS if WINDOWS >= 1000 else WINDOWS // 8  # the usual hundred would take half a minute
VIBRATION = vibration.attributes(119, RATE, fft=64, edges=(1, 5, 10, 20, 40, 59.5), peaks=3)


def graph_of(op: str, samples: int, channels: int, a: Attrs, scale: float | None = None) -> Graph:
    x = Tensor("x", (1, samples, channels), "int16", None if scale is None else per_tensor(scale, 0))
    return one_op(op, (x,), (Tensor("y", OPS[op].shapes((x,), a)[0], "int16"),), a)


def run(op: str, x: Array, a: Attrs) -> Array:
    """int16 [samples, channels] through the op's reference: [channels, columns]."""
    return interpret.run(graph_of(op, *x.shape, a), [x[None]])[0].reshape(x.shape[1], -1)


def scales(op: str, a: Attrs, scale: float | None = None) -> list[float]:
    graph = graph_of(op, 119, 1, a, scale)
    return list(OPS[op].column_scales(graph.view(graph.nodes[0])))  # type: ignore[attr-defined]


# --- real windows, everywhere --------------------------------------------------------------------------------------------


@rare
def test_statistics_of_motion_are_the_same_everywhere() -> None:
    check_everywhere(graph_of("statistics", 119, 6, statistics_op.attributes(EVERY)), list(motion_windows(119)), emulate=FEW)


@rare
def test_vibration_of_motion_is_the_same_everywhere() -> None:
    check_everywhere(graph_of("vibration", 119, 6, VIBRATION), list(motion_windows(119)), emulate=FEW)


@rare
def test_vibration_of_audio_is_the_same_everywhere() -> None:
    a = vibration.attributes(400, 8000, fft=128, edges=(0, 500, 1000, 2000, 4000), peaks=2, hop=32)
    check_everywhere(graph_of("vibration", 400, 1, a), list(audio_windows(400)), emulate=FEW)


def test_standardized_motion_is_the_same_everywhere() -> None:
    windows = motion_windows(119)
    a = standardize.attributes(windows.mean((0, 1, 2)), windows.std((0, 1, 2)), 1.0, per_tensor(8 / 255, 0))
    x, y = Tensor("x", (1, 119, 6), "int16"), Tensor("y", (1, 119, 6), "int8", per_tensor(8 / 255, 0))
    check_everywhere(one_op("standardize", (x,), (y,), a), list(windows))


@rare
def test_statistics_become_a_models_input_everywhere() -> None:
    """Two ops: the columns lie in the arena, and int8 is written over them."""
    windows = motion_windows(60)
    first, quant = graph_of("statistics", 60, 6, statistics_op.attributes(EVERY)), per_tensor(8 / 255, 3)
    raw = np.concatenate([interpret.run(first, [w])[0] for w in windows[::20]]).astype(float)
    a = standardize.attributes(raw.mean(0), raw.std(0) + 1, 1.0, quant)
    tensors = (*first.tensors, Tensor("z", (1, raw.shape[1]), "int8", quant))
    graph = Graph("both", tensors, (*first.nodes, Node("standardize", "s", (1,), (2,), a)), (0,), (2,))
    check_everywhere(graph, list(windows), emulate=FEW)


# --- what they compute ------------------------------------------------------------------------------------------------------


def expected_statistics(x: Array) -> dict[str, float]:
    """Of float64 [n], by numpy and scipy, in the signal's units."""
    mean, rms = x.mean(), np.sqrt((x * x).mean())
    flat = np.ptp(x) == 0
    return {
        "mean": mean, "std": x.std(), "rms": rms, "min": x.min(), "max": x.max(), "range": np.ptp(x),
        "mean_abs": np.abs(x).mean(), "mean_step": np.abs(np.diff(x)).mean(), "median": np.median(x),
        "skewness": 0.0 if flat else stats.skew(x), "kurtosis": 0.0 if flat else stats.kurtosis(x, fisher=False),
        "crest": np.abs(x).max() / rms if rms else 0.0,
        "zero_crossings": float((np.diff((x >= 0).astype(int)) != 0).sum()),
        "mean_crossings": float((np.diff((x >= mean).astype(int)) != 0).sum()),
    }  # fmt: skip


# In units of the column; for the ratios relative to 1 + the value, where their size makes the int16 input no question.
UNITS = dict.fromkeys(EVERY, 1.0) | {"min": 0.0, "max": 0.0, "zero_crossings": 0.0, "mean_crossings": 0.0}
RATIOS = {"skewness": 0.005, "kurtosis": 0.005, "crest": 0.005}


def signals(samples: int) -> list[Array]:
    rng = np.random.default_rng(5)
    spike = np.zeros(samples)
    spike[samples // 3] = 32767
    rows = [
        rng.standard_normal(samples) * 2, rng.standard_normal(samples) * 9000, rng.exponential(500, samples) - 20000,
        np.sin(np.arange(samples)) * 32767, np.where(np.arange(samples) % 2, 32767, -32768), spike, -spike - 1,
        np.full(samples, -32768.0), np.zeros(samples), rng.integers(0, 2, samples) - 32768.0, rng.standard_t(3, samples) * 700,
    ]  # fmt: skip
    return [np.clip(np.round(r), -32768, 32767).astype(np.int16) for r in rows]


@pytest.mark.parametrize("samples", [2, 3, 50, 119, 4096])
def test_statistics_are_numpys_and_scipys(samples: int) -> None:
    a = statistics_op.attributes(EVERY)
    x = np.stack(signals(samples), axis=1)
    unit = scales("statistics", a)
    for row, column in zip(run("statistics", x, a), x.T, strict=True):
        for k, (name, wanted) in enumerate(expected_statistics(column.astype(float)).items()):
            wanted = min(wanted, 32767 * unit[k])
            bound = RATIOS[name] * (1 + abs(wanted)) if name in RATIOS else UNITS[name] * unit[k]
            assert abs(row[k] * unit[k] - wanted) <= bound, (name, row[k] * unit[k], wanted)


def test_statistics_of_real_motion_are_numpys_and_scipys() -> None:
    a = statistics_op.attributes(EVERY)
    unit = scales("statistics", a)
    for window in motion_windows(119, 50):
        for row, column in zip(run("statistics", window[0], a), window[0].T, strict=True):
            for k, (name, wanted) in enumerate(expected_statistics(column.astype(float)).items()):
                bound = RATIOS[name] * (1 + abs(wanted)) if name in RATIOS else UNITS[name] * unit[k]
                assert abs(row[k] * unit[k] - wanted) <= bound, (name, row[k] * unit[k], wanted)


def test_columns_have_the_signals_scale_where_they_are_in_its_units() -> None:
    a = statistics_op.attributes(("mean", "range", "kurtosis", "zero_crossings"))
    assert scales("statistics", a, 0.25) == [0.25, 0.5, 1 / 256, 1.0]
    assert scales("vibration", VIBRATION, 0.25)[:5] == [0.25, 1 / 256, 1 / 256, 1.0, 1 / 256]


def welch(x: Array, a: Attrs) -> Array:
    """One-sided density of int16 [samples, channels] times the bin width, [channels, bins], by scipy."""
    centred = x.astype(float) - x.mean(0)
    _, density = signal.welch(
        centred,
        RATE,
        window=signal.get_window("hann", a["window"]),
        noverlap=a["window"] - a["hop"],
        nfft=a["fft"],
        detrend=False,
        axis=0,
    )
    return density.T * RATE / a["fft"]


@pytest.mark.parametrize("options", [{"fft": 64}, {"fft": 128}, {"fft": 64, "window": 50, "hop": 10}, {"fft": 32, "hop": 1}])
def test_band_powers_of_real_motion_are_scipys_welch(options: dict[str, int]) -> None:
    """Within 0.02 octaves (0.06 dB) down to a millionth of the loudest band, where int32 runs out, and the columns' -16."""
    a = vibration.attributes(
        119,
        RATE,
        edges=(0, 1, 5, 10, 20, 40, 59.5) if options["fft"] == 128 else (0, 5, 10, 20, 40, 59.5),
        peaks=0,
        which=(),
        **options,
    )
    worst = 0.0
    for window in motion_windows(119, 50):
        power = welch(window[0], a)
        for row, spectrum in zip(run("vibration", window[0], a), power, strict=True):
            theirs = [spectrum[low:high].sum() for low, high in zip(a["bands"], a["bands"][1:], strict=False)]
            loud = [p > max(1e-6 * max(theirs), 2.0**-14) for p in theirs]
            gap = np.abs(row / 256 - np.log2(np.maximum(theirs, 2.0**-16)))[loud]
            worst = max(worst, gap.max(initial=0.0))
    assert worst < 0.02


def test_a_peak_is_found_between_the_bins() -> None:
    """Two tones: the frequencies within a twentieth of a bin, the larger first, and no third where all else is below."""
    a = vibration.attributes(512, 512.0, fft=128, edges=(4, 256), peaks=3, which=())
    time = np.arange(512) / 512
    x = np.round(9000 * np.sin(2 * np.pi * 50.3 * time) + 1500 * np.sin(2 * np.pi * 171.9 * time + 1)).astype(np.int16)
    row = run("vibration", x[:, None], a)[0][1:]
    hertz = row[::2] / 32 * 512 / 128
    assert abs(hertz[0] - 50.3) < 0.2 and abs(hertz[1] - 171.9) < 0.2
    assert row[1] > row[3] > row[5] + 10 * 256


def test_silence_has_no_peaks_and_the_lowest_powers() -> None:
    for level in (0, -32768, 32767):
        row = run("vibration", np.full((119, 1), level, np.int16), VIBRATION)[0]
        assert row[4:].tolist() == [-4096] * 5 + [0, -4096] * 3


def test_the_loudest_signals_do_not_overflow() -> None:
    """All power in one bin, at the limits, over many frames: the mean square of a full-scale square wave is 2^30."""
    a = vibration.attributes(2048, RATE, fft=512, edges=(0, 59.5), peaks=1, which=(), hop=8)
    for period in (2, 4, 512):
        x = np.where(np.arange(2048) % period < period // 2, 32767, -32768).astype(np.int16)
        row = run("vibration", x[:, None], a)[0]
        assert abs(row[0] / 256 - 30) < 0.05, period


# --- standardization --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 119, 6), (1, 30), (1, 4, 5, 3)])
def test_standardize_is_the_formula_within_one_step(shape: tuple[int, ...]) -> None:
    rng, quant = np.random.default_rng(3), per_tensor(8 / 255, -5)
    x = rng.integers(-32768, 32767, shape).astype(np.int16)
    unit = 10.0 ** rng.uniform(-4, 1, shape[-1])
    mean, std = rng.uniform(-20000, 20000, shape[-1]) * unit, rng.uniform(5000, 20000, shape[-1]) * unit
    a = standardize.attributes(mean, std, unit, quant)
    graph = one_op("standardize", (Tensor("x", shape, "int16"),), (Tensor("y", shape, "int8", quant),), a)
    wanted = np.clip((x * unit - mean) / std / quant.scale[0] - 5, -128, 127)
    assert np.abs(interpret.run(graph, [x])[0] - wanted).max() <= 0.51


def test_standardize_keeps_the_fraction_of_a_mean_of_counts() -> None:
    a = standardize.attributes([3.4], [1.2], 1.0, per_tensor(8 / 255, 0))
    graph = one_op("standardize", (Tensor("x", (1, 1), "int16"),), (Tensor("y", (1, 1), "int8", per_tensor(8 / 255, 0)),), a)
    for count in range(8):
        level = interpret.run(graph, [np.array([[count]], np.int16)])[0].item()
        assert abs(level - (count - 3.4) / 1.2 * 255 / 8) <= 0.6


# --- what is refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"fft": 100}, {"edges": (0,)}, {"edges": (10, 5)}, {"edges": (0, 60)}, {"edges": (0, 0.1, 0.2, 50)}, {"peaks": 9},
        {"window": 65}, {"hop": 0}, {"which": ("rms", "rms")}, {"which": ("entropy",)}, {"edges": (0, float("nan"))},
    ],
)  # fmt: skip
def test_vibration_that_cannot_be_had_is_refused(options: dict[str, object]) -> None:
    with pytest.raises((UsageError, ModelError)):
        vibration.attributes(119, RATE, **{"fft": 64, "edges": (1.0, 50.0), **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
def test_a_deviation_that_is_none_is_refused(std: float) -> None:
    with pytest.raises(UsageError):
        standardize.attributes(0.0, std, 1.0, per_tensor(0.1, 0))


def test_columns_without_a_scale_of_their_own_are_refused() -> None:
    graph = graph_of("statistics", 119, 6, statistics_op.attributes(EVERY))
    wrong = Graph(
        "g", (graph.tensors[0], Tensor("y", graph.tensors[1].shape, "int16", per_tensor(1.0, 0))), graph.nodes, (0,), (1,)
    )
    with pytest.raises(ModelError, match="no quantization"):
        rules.check(wrong)
