"""The spectrogram: real speech and motion on every core, scipy's numbers within bounds, and its fixed points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import ShortTimeFFT, get_window

from sandgrain.base.errors import ModelError, SandgrainError, UnsupportedError
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.quantization import per_tensor
from sandgrain.kernels import Lowered, kernels_of
from tests.support import feature_windows
from tests.support.draws import rare

Real = npt.NDArray[np.float64]

SPEECH = {
    "window": 200, "hop": 80, "fft": 256, "taper": "hann", "precision": "int32", "power": 2, "log": True, "floor": 1e-6,
    "bins": (0, 128),
}  # fmt: skip
PRECISIONS = ("int32", "int16", "float")


def graph(samples: int, dtype: str = "int16", channels: int = 1, quant: tuple[float, int] = (0.1, 11), **changed: Any) -> Graph:
    """One spectrogram of a signal."""
    a = attrs(**{**SPEECH, **changed})
    op, x = OPS["spectrogram"], Tensor("x", (1, samples, channels), "int16")
    draft = one_op("spectrogram", (x,), (Tensor("y", (1,), "int16"),), a)
    scale = op.fixed_scale(draft.view(draft.nodes[0]))  # type: ignore[attr-defined]
    y = Tensor("y", op.shapes((x,), a)[0], dtype, per_tensor(scale, 0) if dtype == "int16" else per_tensor(*quant))
    return one_op("spectrogram", (x,), (y,), a)


def real(made: Graph, x: Array) -> Real:
    """The real values [frames, columns] that an int16 spectrogram stands for."""
    rules.check(made)
    return np.asarray(interpret.run(made, [x.reshape(made.tensors[0].shape)])[0][0] * made.tensors[1].scale, np.float64)


def exact(x: Array, window: int, hop: int, fft: int, taper: str) -> Real:
    """scipy's |X| of whole frames, full scale 1: [frames, fft / 2 + 1]."""
    theirs = ShortTimeFFT(get_window("boxcar" if taper == "rect" else taper, window), hop, 1.0, mfft=fft, phase_shift=None)
    first = -(-(window // 2) // hop)  # its slice p is centred on sample p hop; ours starts where the signal starts
    count = 1 + (len(x) - window) // hop
    lead = first * hop - window // 2  # zeros before the signal, so that a slice begins with it
    padded = np.concatenate([np.zeros(lead), x / 32768.0, np.zeros(window)])
    return np.asarray(np.abs(theirs.stft(padded, p0=first, p1=first + count)).T, np.float64)


def speech(samples: int, count: int) -> list[Array]:
    return [w.reshape(-1) for w in feature_windows.audio_windows(samples, count)]


# --- bytes ------------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize(
    ("dtype", "changed"),
    [
        ("int8", {}),
        ("int16", {"precision": "int16", "power": 1, "floor": 1e-4, "taper": "hamming"}),
        ("int16", {"precision": "float", "log": False, "power": 1, "fft": 512, "bins": (3, 256)}),
    ],
)
def test_a_thousand_windows_of_speech_are_right_everywhere(dtype: str, changed: dict[str, Any]) -> None:
    slow = changed.get("precision") == "float"  # without an FPU
    feature_windows.check_everywhere(graph(440, dtype, **changed), feature_windows.audio_windows(440), emulate=6 if slow else 30)


@rare
@pytest.mark.parametrize("precision", PRECISIONS)
def test_windows_of_motion_are_right_everywhere(precision: str) -> None:
    made = graph(64, "int8", channels=6, window=64, hop=64, fft=64, bins=(0, 32), precision=precision, taper="rect")
    feature_windows.check_everywhere(made, feature_windows.motion_windows(64, 200), emulate=3 if precision == "float" else 8)


@rare
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("power", "log"), [(1, True), (2, True), (1, False), (2, False)])
def test_extreme_signals_are_right_on_the_host(precision: str, power: int, log: bool) -> None:
    i = np.arange(128)
    worst = [np.full(128, v) for v in (-32768, -1, 0, 1, 32767)] + [np.where(i % 2, -32768, 32767), np.where(i == 5, -32768, 0)]
    rows = [np.asarray(w, np.int16).reshape(1, 128, 1) for w in worst]
    made = graph(128, window=128, hop=1, fft=128, bins=(0, 64), precision=precision, power=power, log=log, taper="rect")
    feature_windows.check_everywhere(made, rows, cores=())


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "bound"), [("int32", 2e-4), ("float", 2e-4), ("int16", 2e-2)])
@pytest.mark.parametrize("taper", ["hann", "hamming", "rect"])
def test_magnitudes_are_scipys(precision: str, bound: float, taper: str) -> None:
    """Within the unit of the fixed point and `bound` of the frame's largest magnitude."""
    for x in speech(2000, 8):
        mine = real(graph(2000, log=False, power=1, precision=precision, taper=taper), x)
        theirs = exact(x, 200, 80, 256, taper)
        assert mine.shape == theirs.shape == (23, 129)
        unit = 256 / 2**16
        assert (np.abs(mine - theirs) <= unit + bound * theirs.max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize(("precision", "bound"), [("int32", 0.02), ("float", 0.02), ("int16", 0.7)])
@pytest.mark.parametrize("power", [1, 2])
def test_logarithms_are_scipys(precision: str, bound: float, power: int) -> None:
    """ln(|X|^power + floor) within `bound`, 1 % of the values excepted."""
    for x in speech(2000, 8):
        mine = real(graph(2000, precision=precision, power=power, floor=1e-5), x)
        theirs = np.log(exact(x, 200, 80, 256, "hann") ** power + 1e-5)
        assert np.quantile(np.abs(mine - theirs), 0.99) < bound


def test_powers_are_scipys() -> None:
    x = speech(2000, 3)[1]
    unit = 256**2 / 2**17
    theirs = exact(x, 200, 80, 256, "hann") ** 2
    assert np.abs(real(graph(2000, log=False), x) - np.minimum(theirs, unit * 32767)).max() <= unit * 1.01


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_full_scale_sine_does_not_saturate(precision: str) -> None:
    x = np.round(32767 * np.cos(2 * np.pi * 8 * np.arange(128) / 128)).astype(np.int16)
    made = graph(128, window=128, hop=1, fft=128, taper="rect", bins=(0, 64), precision=precision, power=1, log=False)
    row = real(made, x)[0]
    assert row.argmax() == 8 and abs(row[8] - 64.0) < 0.02


def test_silence_is_the_floor() -> None:
    for precision in PRECISIONS:
        for power in (1, 2):
            row = real(graph(200, precision=precision, power=power, floor=1e-6), np.zeros(200, np.int16))
            assert np.abs(row - np.log(1e-6)).max() < 0.04


def test_channels_stand_one_after_another() -> None:
    x = np.random.default_rng(0).integers(-9000, 9000, (1, 200, 2)).astype(np.int16)
    made = graph(200, channels=2, window=64, hop=32, fft=64, bins=(2, 9))
    both = real(made, x)
    for c in (0, 1):
        alone = real(graph(200, window=64, hop=32, fft=64, bins=(2, 9)), x[:, :, c])
        assert np.array_equal(both[:, 8 * c : 8 * c + 8], alone)


def test_an_int8_output_is_the_normalized_value() -> None:
    x = speech(2000, 3)[2]
    wide = real(graph(2000), x)
    made = graph(2000, "int8", quant=(0.05, -3), mean=-6000, std=2.5)
    rules.check(made)
    got = interpret.run(made, [x.reshape(1, -1, 1)])[0][0].astype(np.int64)
    assert np.abs(got - np.clip(np.round((wide + 6000 / 1024) / 2.5 / 0.05) - 3, -128, 127)).max() <= 1


# --- what is refused, and what it costs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"window": 0}, "frames of 0"),
        ({"window": 900}, "of 500"),
        ({"fft": 100, "bins": (0, 50)}, "power of two"),
        ({"fft": 128, "bins": (0, 64)}, "exceed an FFT"),
        ({"bins": (0, 129)}, "bins 0 to 129"),
        ({"taper": "x"}, "no taper"),
        ({"precision": "int4"}, "no precision"),
        ({"power": 3}, "power 3"),
        ({"floor": 0.0}, "a floor of 0"),
    ],
)
def test_what_cannot_be_is_said(changed: dict[str, Any], words: str) -> None:
    with pytest.raises((ModelError, UnsupportedError, SandgrainError), match=words):
        rules.check(graph(500, **changed))


def test_half_the_scratch_with_int16() -> None:
    for precision, bytes_ in (("int32", 1024), ("float", 1024), ("int16", 512)):
        made = graph(500, precision=precision)
        fits = [kernel.fit(made.view(made.nodes[0]), ()) for kernel in kernels_of("spectrogram")]
        assert [fit.scratch for fit in fits if isinstance(fit, Lowered)] == [bytes_]


def test_a_frame_of_512_points_costs_what_the_docs_say() -> None:
    made = graph(480, window=480, hop=320, fft=512, bins=(0, 256))
    trace = feature_windows.profile(made, np.arange(480, dtype=np.int16).reshape(1, 480, 1))
    assert trace.instructions < 42000
