"""From a project's blocks to C: what does not fit is refused in one line, what fits is the same everywhere and as a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.bundle import features_in_c
from sandgrain.frontend.blocks import BLOCKS, parse
from sandgrain.frontend.frontend import FrontEnd, join
from sandgrain.frontend.pipeline import Moments, Normalization, Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.graph import interpret
from sandgrain.graph.ir import Graph, Node, Tensor
from tests.support.draws import rare, turns

RNG = np.random.default_rng(5)
AUDIO = Signal("audio", (1600, 1), 8000.0)
MOTION = Signal("motion", (119, 6), 119.0)
IMAGE = Signal("image", (24, 32, 3))

CASES: dict[str, tuple[Signal, list[dict[str, Any]], int]] = {
    "log-mel": (AUDIO, [{"block": "log-mel", "bands": 20}], 800),
    "log-mel by column": (AUDIO, [{"block": "log-mel", "bands": 20}, {"block": "normalize", "per": "column"}], 800),
    "mfcc": (AUDIO, [{"block": "mfcc", "bands": 20, "coefficients": 8, "power": 1}], 400),
    "filtered spectrogram": (
        AUDIO,
        [{"block": "filter", "type": "high-pass", "cutoff": 50}, {"block": "spectrogram", "window_ms": 16, "hop_ms": 10}],
        800,
    ),
    "decimated log-mel": (AUDIO, [{"block": "decimate", "factor": 2}, {"block": "log-mel", "bands": 16}], 800),
    "pre-emphasis": (
        AUDIO,
        [{"block": "pre-emphasis", "headroom": True}, {"block": "log-mel", "bands": 16, "taper": "povey", "symmetric": True}],
        800,
    ),
    "fixed": (
        AUDIO,
        [{"block": "log-mel", "bands": 16}, {"block": "normalize", "scale": 0.2, "offset": 1.0, "low": -1.5, "high": 1.5}],
        800,
    ),
    "differences": (MOTION, [{"block": "difference"}, {"block": "magnitude", "keep": True}, {"block": "raw"}], 30),
    "magnitudes": (
        MOTION,
        [
            {"block": "magnitude", "channels": [0, 1, 2]},
            {"block": "magnitude", "channels": [0, 1, 2]},
            {"block": "decimate", "factor": 2},
            {"block": "statistics", "correlation": True},
        ],
        40,
    ),
    "correlated vibration": (MOTION, [{"block": "vibration", "fft": 32, "peaks": 1, "correlation": True}], 40),
    "beats": (MOTION, [{"block": "beats", "shape_ms": 150, "slack_ms": 20, "points": 5}], 40),
    "raw motion": (MOTION, [{"block": "raw"}], 30),
    "statistics": (MOTION, [{"block": "filter", "type": "low-pass", "cutoff": 20}, {"block": "statistics"}], 40),
    "vibration": (MOTION, [{"block": "decimate", "factor": 2}, {"block": "vibration", "fft": 32, "peaks": 1}], 40),
    "picture": (
        IMAGE,
        [{"block": "crop", "height": 24, "width": 24}, {"block": "resize", "height": 12, "width": 12}, {"block": "grey"}],
        0,
    ),
    "raw picture": (IMAGE, [{"block": "raw"}], 0),
}


def windows_of(signal: Signal, count: int = 12) -> np.ndarray:
    """Loud, quiet and silent windows."""
    if signal.kind == "image":
        return RNG.integers(0, 256, (count, *signal.shape), dtype=np.uint8)
    loud = np.array([1, 0.5, 0.1, 0.01, 0.001, 0])[np.arange(count) % 6].reshape(-1, 1, 1)
    return np.clip(RNG.standard_normal((count, *signal.shape)) * loud * 9000, -32768, 32767).astype(np.int16)


@pytest.fixture(scope="module", params=CASES, ids=str)
def front(request: pytest.FixtureRequest) -> FrontEnd:
    signal, blocks, stride = CASES[request.param]
    pipeline = Pipeline(signal, parse(blocks))
    return FrontEnd(pipeline, features_in_c.fit(pipeline, windows_of(signal)), stride)


@rare
def test_features_have_mean_zero_and_deviation_one(front: FrontEnd) -> None:
    features = (
        features_in_c.extract(front, windows_of(front.pipeline.signal, 24)).astype(float) * front.normalization.quant.scale[0]
    )
    assert features.shape == (24, *front.pipeline.shape)
    assert abs(features.mean()) < 0.2
    assert 0.5 < features.std() < 1.5


@rare
@pytest.mark.parametrize("front", turns(list(CASES), 3), indirect=True)
def test_the_firmware_gives_the_references_features_whole_and_as_a_stream(front: FrontEnd, tmp_path: Path) -> None:
    sandgrain.compile(None, features=front, target="nucleo-l4r5zi", out=tmp_path / "c", optimize="speed")
    np.savez(tmp_path / "x.npz", x=windows_of(front.pipeline.signal, 6)[:, np.newaxis])
    verdict = sandgrain.verify(tmp_path / "c", tmp_path / "x.npz")
    assert verdict.identical, verdict.difference
    assert set(verdict.compared) == {"host", "emulator", *(["stream"] if front.stride else [])}


def test_a_front_end_survives_json(front: FrontEnd) -> None:
    again = FrontEnd.from_json(json.loads(json.dumps(front.to_json())))
    window = windows_of(front.pipeline.signal, 1)
    assert again == front
    assert np.array_equal(interpret.run(again.graph(), [window])[0], interpret.run(front.graph(), [window])[0])


def test_every_block_is_tested_here() -> None:
    named = {block["block"] for _, blocks, _ in CASES.values() for block in blocks}
    assert set(BLOCKS) - named <= {"channels", "settle"}  # settle: test_settle.py


@pytest.mark.parametrize(
    ("signal", "blocks", "words"),
    [
        (AUDIO, [{"block": "logmel"}], "did you mean 'log-mel'"),
        (AUDIO, [{"bands": 3}], "has no `block`"),
        (AUDIO, [{"block": "log-mel", "band": 3}], "did you mean 'bands'"),
        (AUDIO, [{"block": "log-mel", "bands": "many"}], "bands"),
        (AUDIO, [{"block": "log-mel", "high": 9000}], "half the rate"),
        (AUDIO, [{"block": "log-mel", "window_ms": 500}], "do not fit a signal"),
        (MOTION, [{"block": "log-mel"}], "not motion"),
        (MOTION, [{"block": "statistics"}, {"block": "filter", "type": "low-pass", "cutoff": 9}], "filters come first"),
        (MOTION, [{"block": "filter", "type": "band-pass", "cutoff": 9}, {"block": "raw"}], "two cutoffs"),
        (MOTION, [{"block": "filter", "type": "low-pass", "cutoff": 90}, {"block": "raw"}], "half the rate"),
        (MOTION, [{"block": "statistics"}, {"block": "vibration"}], "only one"),
        (IMAGE, [{"block": "crop", "height": 25, "width": 2}], "is not inside"),
    ],
)
def test_blocks_that_do_not_fit_are_one_line_with_a_way_out(signal: Signal, blocks: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SandgrainError, match=words) as caught:
        Pipeline(signal, parse(blocks))
    assert "\n" not in str(caught.value)


def test_moments_are_those_of_all_values_together() -> None:
    values = RNG.normal(100, [1, 5, 0], (1000, 3))
    moments = Moments(3, per_column=True)
    for part in np.array_split(values, 7):
        moments.add(part)
    norm = moments.normalization(np.array([0.5]), 4.0)
    assert norm.mean == pytest.approx(values.mean(axis=0) * 0.5)
    assert norm.std == pytest.approx([values.std(axis=0)[0] / 2, values.std(axis=0)[1] / 2, 0.5])


def test_a_stream_that_cannot_be_says_why(tmp_path: Path) -> None:
    pipeline = Pipeline(AUDIO, parse([{"block": "log-mel", "peak": True}]))
    front = FrontEnd(pipeline, Normalization((0.0,), (1.0,)), 800)
    with pytest.raises(SandgrainError, match="peak = false"):
        sandgrain.compile(None, features=front, out=tmp_path / "c", measure=False)


def test_a_model_that_was_trained_on_other_features_is_refused() -> None:
    front = FrontEnd(Pipeline(MOTION, parse([{"block": "raw"}])), Normalization((0.0,), (1.0,))).graph()
    quant = front.tensors[-1].quant
    model = Graph(
        "m",
        (Tensor("x", (1, 7), "int8", quant), Tensor("y", (1, 7), "int8", quant)),
        (Node("relu", "r", (0,), (1,)),),
        (0,),
        (1,),
    )
    with pytest.raises(SandgrainError, match="train it on them"):
        join(front, model)


def test_normalization_without_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="no training sample"):
        features_in_c.fit(Pipeline(MOTION, parse([{"block": "raw"}])), [])
