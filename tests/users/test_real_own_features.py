"""Models that bring features of their own: their recipe is said in a features.json, and the C joins both.

Fault 14 of the real recordings: MLPerf Tiny's streaming wake word, whose recipe has pre-emphasis, a symmetric taper, a fixed scale, an
offset and a range.
"""

from __future__ import annotations

import json
import math
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import SandgrainError
from sandgrain.bundle import features_in_c, store
from sandgrain.bundle.listening import Listener
from sandgrain.compiler import pipeline
from sandgrain.device.run import tflm
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph, Node, Tensor
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support import audio_recipes
from tests.support.draws import rare
from tests.support.shared_files import shared_data, shared_model

LATE = 0.5  # s after a word's end in which it may still be found, as the benchmark's evaluation has it
THRESHOLD = 0.95  # the benchmark's


def recipe(window: int, fft: int, rate: int, **options: Any) -> dict[str, Any]:
    """The wake word's features for `window` samples, as a user writes them down; decibels are 10 / ln 10 of our logarithms."""
    decibel, frame = 10 / math.log(10), 1000 * fft / rate
    log_mel = {"window_ms": frame, "hop_ms": frame / 2, "fft": fft, "taper": "hamming", "symmetric": True, "bands": 40, "low": 0}
    fixed = {"scale": decibel / 64, "offset": (52 - decibel * math.log(fft)) / 64, "low": 0, "high": 1}
    return {
        "signal": {"kind": "audio", "shape": [window, 1], "rate": rate},
        "stride": fft // 2,
        "blocks": [
            {"block": "pre-emphasis", "coefficient": 1 - 2**-5, "headroom": True, **options},
            {"block": "log-mel", "floor": 1e-9, **log_mel},
            {"block": "normalize", **fixed},
        ],
    }


def levels(real: Array, quant: Quantization) -> Array:
    """Real features as int8, rounded."""
    found: Array = np.clip(np.rint(real / quant.scale[0]) + quant.zero_point[0], -128, 127)
    return found


# --- in small -----------------------------------------------------------------------------------------------------------------


def copier(rows: int, quant: Quantization) -> Graph:
    """A model of another maker, quantized as it likes: what comes in goes out, as a maximum with the least value."""
    x, least = Tensor("x", (1, rows, 1, 40), "int8", quant), np.full((1, 1, 1, 1), -128, np.int8)
    tensors = (x, Tensor("least", least.shape, "int8", quant, least), Tensor("y", x.shape, "int8", quant))
    return Graph("copier", tensors, (Node("maximum", "copy", (0, 1), (2,)),), (0,), (2,))


def noises(count: int, samples: int) -> Array:
    """int16 [count, 1, samples, 1]: loud, quiet and silent noise, coloured as speech is, and one as loud and as sharp as there is."""
    rng = np.random.default_rng(3)
    x = np.cumsum(rng.standard_normal((count, samples)), axis=1)
    x = (x - x.mean(1, keepdims=True)) / np.abs(x).max(1, keepdims=True) * 10.0 ** -np.arange(count)[:, np.newaxis] * 30000
    x[-2], x[-1] = 0, np.where(np.arange(samples) % 5 < 2, -32768, 32767)
    return np.asarray(np.rint(x).clip(-32768, 32767), np.int16).reshape(count, 1, samples, 1)


@pytest.mark.parametrize(
    "quant",
    [per_tensor(1 / 255, -128), per_tensor(0.0037, -128), per_tensor(1.6 / 255, -90)],
    ids=["of 0 to 1", "ends below 1", "beyond 0 to 1"],
)
def test_a_recipe_with_fixed_numbers_is_computed_as_the_model_is_quantized(quant: Quantization) -> None:
    """The C of the joined graph gives the recipe in float64 within a step, nearly everywhere the very step, and clips at 0 and 1."""
    front, x = FrontEnd.from_json(recipe(1024, 256, 8000)), noises(8, 1024)
    joined, _ = pipeline.read(copier(7, quant), "m", (), front)
    ours = features_in_c.Extractor(joined).run(x).reshape(8, 7, 40).astype(float)
    wanted = np.stack([levels(audio_recipes.wake_word_features(w.reshape(-1), 256, 128, 8000), quant) for w in x])
    assert np.abs(ours - wanted).max() <= 1
    assert (ours == wanted).mean() > 0.95
    assert ours.min() >= levels(np.array(0.0), quant) and ours.max() <= levels(np.array(1.0), quant)
    assert [e.tobytes() for e in ours.astype(np.int8)] == [interpret.run(joined, [w])[0].tobytes() for w in x]


def test_without_headroom_only_the_sharpest_signals_differ() -> None:
    quant, x = per_tensor(1 / 255, -128), noises(8, 1024)
    both = [
        features_in_c.Extractor(FrontEnd.from_json(recipe(1024, 256, 8000, headroom=h)).graph()).run(x).astype(int)
        for h in (False, True)
    ]
    assert np.abs(both[0] - both[1])[:-1].max() <= 1
    assert np.abs(both[0] - both[1])[-1].max() > 1
    assert FrontEnd.from_json(recipe(1024, 256, 8000)).graph().tensors[-1].quant == quant


def test_the_keyword_model_is_joined_with_its_numbers_as_they_are() -> None:
    """MLPerf Tiny's other model of speech takes cepstral coefficients themselves, in steps of 0.58 from -122 to 26."""
    graph = text.read_any(shared_model("kws_ref_model"), "kws")
    taken = graph.tensors[graph.inputs[0]]
    mfcc = {"block": "mfcc", "high": 4000, "power": 1, "peak": True}
    facts = {
        "signal": {"kind": "audio", "shape": [16000, 1], "rate": 16000},
        "blocks": [mfcc, {"block": "normalize", "scale": 1}],
    }
    front = FrontEnd.from_json(facts)
    joined, _ = pipeline.read(graph, "kws", (), front)
    x = noises(4, 16000)[0]
    (ours,), features = interpret.run(front.graph(graph), [x]), audio_recipes.keyword_mfcc(x.reshape(-1))
    assert taken.quant is not None and joined.outputs
    wanted = levels(features, taken.quant)
    assert np.abs(ours[0] - wanted).max() <= 1 and (ours[0] == wanted).mean() > 0.95


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signal": {"kind": "audio", "shape": [512, 1], "rate": 8000}}, "make window, hop and bands what it was trained on"),
        ({"blocks": [{"block": "log-mel", "fft": 256}]}, "give `normalize` a `scale`"),
        ({"blocks": [{"block": "log-mel", "fft": 256}, {"block": "normalize", "scales": 1}]}, "did you mean 'scale'"),
        ({"blocks": [{"block": "log-mel", "fft": 256}, {"block": "normalize", "offset": 1}]}, "`offset` needs `scale`"),
    ],
)
def test_a_recipe_that_is_not_whole_says_what_is_missing(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SandgrainError, match=said) as caught:
        pipeline.read(copier(7, per_tensor(1 / 255, -128)), "m", (), FrontEnd.from_json({**recipe(1024, 256, 8000), **change}))
    assert "\n" not in str(caught.value)


# --- the official model over the official stream ----------------------------------------------------------------------------------


def stream() -> Array:
    """int16 [samples, 1]: the first of the official stream's two channels."""
    with wave.open(str(shared_data("mlperf_sww/short_wav_easy10s.wav"))) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())[:, :1].copy()


def words_found(scores: Array, ends: Array, threshold: float) -> tuple[list[bool], int]:
    """Whether each word of the official table is found, and how many results beyond the words are false alarms."""
    (table,) = json.loads(shared_data("mlperf_sww/sww_short_test.json").read_text("utf-8"))
    at, hot = ends / table["sample_rate"], scores > threshold
    near = [(at >= start) & (at <= end + LATE) for start, end in table["detection_windows"]]
    after = np.any([(at >= start) & (at <= end + 2 * LATE) for start, end in table["detection_windows"]], axis=0)
    return [bool((hot & n).any()) for n in near], int((hot & ~after).sum())


@rare
def test_14_the_official_wake_word_finds_every_word_that_its_reference_finds(tmp_path: Path) -> None:
    """The reference: the recipe in float64, cut to int8 as the benchmark does (towards 0), the model's integers as defined."""
    x, model = stream(), shared_model("wild/mlperf__str_ww_ref_model")
    (tmp_path / "features.json").write_text(json.dumps(recipe(15872, 1024, 16000)), "utf-8")
    (tmp_path / "sww.tflite").write_bytes(model)
    sandgrain.compile(
        tmp_path / "sww.tflite", features=tmp_path / "features.json", target="host", out=tmp_path / "c", measure=False
    )
    heard = Listener(store.load_bundle(tmp_path / "c")).hear(x)
    scores = (heard["scores"][:, 0].astype(float) + 128) / 256

    graph = text.read_any(model, "sww")
    taken = graph.tensors[graph.inputs[0]]
    assert taken.quant is not None
    rows = (audio_recipes.wake_word_features(x[:, 0]) / taken.quant.scale[0] + taken.quant.zero_point[0]).astype(np.int8)
    results = [interpret.run(graph, [rows[k : k + 30].reshape(taken.shape)])[0][0, 0] for k in range(len(rows) - 29)]
    reference = (np.array(results, float) + 128) / 256

    assert heard["samples"].tolist() == [15872 + 512 * k for k in range(282)]
    for threshold, count in ((THRESHOLD, 2), (0.85, 3)):
        theirs, alarms = words_found(reference, heard["samples"], threshold)
        ours, more = words_found(scores, heard["samples"], threshold)
        assert sum(theirs) == count and ours == theirs and more <= alarms
    assert np.median(np.abs(scores - reference)) == 0

    # The window of features has another shape than the model's input; TensorFlow Lite Micro is asked all the same.
    verdict = sandgrain.verify(tmp_path / "c", x[np.newaxis, np.newaxis, 60000 : 60000 + 15872])
    assert verdict.identical and set(verdict.compared) >= {"host", "stream", *(["tflm"] if tflm.available() else [])}
