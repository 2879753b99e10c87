"""mfcc: against TensorFlow's recipe for MLPerf Tiny's keyword task, against scipy, and the bytes on every core.

`recipe.py` equals TensorFlow 2.21's own ops to 3e-14 in float64 and to 0.0013 in float32 (125 recordings of fsdd; every
int8 value the same), which was tried once and is kept here as a few of TensorFlow's numbers.
"""

from __future__ import annotations

import wave
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.fft import dct
from scipy.signal import resample_poly

from sandgrain.base.errors import ModelError
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Tensor, attrs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.mfcc import dct_q
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support import audio_recipes, feature_windows
from tests.support.draws import rare
from tests.support.shared_files import DATA

KEYWORDS = {
    "rate": audio_recipes.RATE, "window": audio_recipes.WINDOW, "hop": audio_recipes.HOP, "fft": audio_recipes.FFT, "taper": "hann", "bands": audio_recipes.BANDS,
    "low": audio_recipes.LOW, "high": audio_recipes.HIGH, "scale": "htk", "norm": "none", "power": 1, "floor": audio_recipes.FLOOR, "peak": True,
    "coefficients": audio_recipes.COEFFICIENTS,
}  # fmt: skip
MODEL_INPUT = per_tensor(0.5847029089927673, 83)  # of MLPerf Tiny's kws_ref_model.tflite

# TensorFlow 2.21, float64, frames 0, 20 and 48 of `made_up()`.
TENSORFLOW = {
    0: [-19.324947, 4.069741, 4.244735, 2.187288, 1.67643, 1.525692, 3.017222, 4.022692, 2.922072, -0.766563],
    20: [19.961311, -2.30018, -0.930207, -0.871112, -0.907628, -1.138197, -1.207582, -1.281087, -1.178108, -1.099205],
    48: [-123.569683, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
}


def graph(samples: int = audio_recipes.SAMPLES, quant: Quantization = MODEL_INPUT, dtype: str = "int8", **changed: Any) -> Graph:
    a = {**KEYWORDS, **changed}
    shape = (1, 1 + (samples - a["window"]) // a["hop"], a["coefficients"])
    return one_op("mfcc", (Tensor("x", (1, samples, 1), "int16"),), (Tensor("y", shape, dtype, quant),), attrs(**a))


def made_up() -> Array:
    n = np.arange(12000)
    return ((n * n // 40) % 20011 - 10005 + (n * 37) % 997).astype(np.int16)


@cache
def recordings(step: int) -> list[Array]:
    """int16 at 16 kHz, a second at most: every `step`-th recording of fsdd, resampled from 8 kHz."""
    if not (DATA / "fsdd").is_dir():
        pytest.skip("no fsdd beside the project; name the folder that has it in SANDGRAIN_DATA")
    found = []
    for path in sorted((DATA / "fsdd").glob("*.wav"))[::step]:
        with wave.open(str(path)) as file:
            x = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
        found.append(np.clip(np.round(resample_poly(x, 2, 1)), -32768, 32767).astype(np.int16)[: audio_recipes.SAMPLES])
    return found


def second(x: Array) -> Array:
    return np.concatenate([x, np.zeros(audio_recipes.SAMPLES - len(x), np.int16)])


def steps(xs: list[Array], peak: bool) -> Array:
    """How many int8 steps each value lies from the recipe's: [recordings, 49, 10]."""
    made, found = graph(peak=peak), []
    rules.check(made)
    for x in xs:
        exact = audio_recipes.keyword_mfcc(x, peak) / MODEL_INPUT.scale[0] + MODEL_INPUT.zero_point[0]
        wanted = np.clip(np.floor(exact + 0.5), -128, 127)
        found.append(np.abs(interpret.run(made, [second(x).reshape(1, -1, 1)])[0][0] - wanted))
    return np.stack(found)


def test_the_recipe_gives_tensorflows_numbers() -> None:
    ours = audio_recipes.keyword_mfcc(made_up())
    assert ours.shape == (49, 10)
    for row, values in TENSORFLOW.items():
        assert np.abs(ours[row] - values).max() < 1e-5


def test_int16_coefficients_are_those_of_the_recipe() -> None:
    ours = interpret.run(graph(quant=per_tensor(2.0**-6, 0), dtype="int16"), [second(made_up()).reshape(1, -1, 1)])[0][0] / 64
    for row, values in TENSORFLOW.items():
        assert np.abs(ours[row] - values).max() < 0.1  # a sixth of the model's int8 step


@rare
@pytest.mark.parametrize("peak", [True, False])
def test_int8_values_are_the_keyword_models_inputs(peak: bool) -> None:
    """500 recordings, 245,000 values; the issue asks for one step on 99 % of them."""
    away = steps(recordings(5), peak)
    assert away.size == 245_000
    assert np.mean(away <= 1) > 0.9999
    assert np.mean(away == 0) > 0.99


@rare
@pytest.mark.parametrize("peak", [True, False])
def test_quiet_recordings_agree_as_well(peak: bool) -> None:
    """36 dB down: what is left of a recording has 10 bits at most."""
    quiet = [np.round(x / 64).astype(np.int16) for x in recordings(10)]
    away = steps(quiet, peak)
    assert np.mean(away <= 1) > (0.999 if peak else 0.997)
    assert np.mean(away == 0) > 0.975


@pytest.mark.parametrize("bands", [1, 2, 13, 40, 128])
def test_the_cosines_are_scipys(bands: int) -> None:
    table, fraction = dct_q(bands, bands)
    logs = np.random.default_rng(bands).uniform(-14, 10, (100, bands))
    theirs = dct(logs, type=2, axis=-1) / np.sqrt(2 * bands)
    assert np.abs(logs @ table.T / 2.0**fraction - theirs).max() < 0.06
    assert np.abs(table.astype(np.int64)).sum(axis=1).max() << 15 <= 2**31


@rare
@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "int8"},
        {"dtype": "int16", "quant": per_tensor(2.0**-6, 0), "power": 2, "peak": False, "bands": 26, "coefficients": 13},
    ],
    ids=["keywords", "power"],
)
def test_the_bytes_are_the_same_everywhere(changed: dict[str, Any]) -> None:
    made = graph(280, rate=8000, window=200, hop=80, fft=256, high=4000.0, **changed)
    feature_windows.check_everywhere(made, list(feature_windows.audio_windows(280)))


def test_a_second_of_keyword_audio_has_its_price() -> None:
    trace = feature_windows.profile(graph(), feature_windows.audio_windows(16000, 3)[1], "cortex-m4")
    assert trace.instructions < 1_900_000
    assert trace.stack_bytes is not None
    assert 4 * 512 + 2 * 40 + 490 + trace.stack_bytes < 3 * 1024


def test_there_are_not_more_coefficients_than_bands() -> None:
    with pytest.raises(ModelError, match="41 coefficients of 40 bands"):
        rules.check(graph(480, coefficients=41))
