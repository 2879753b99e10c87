"""Detectors of anomalies on synthetic machine sound: the emulated core ranks windows as the fitted models do.

The sound is made by examples/machine-sound/make_data.py: formulas, no recordings. To be hard, a faulty window here is a faulty
machine (a third of the amplitude) beside a normal one, and a normal window is two normal machines.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from sandgrain.bundle import on_host
from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.passes import optimize
from sandgrain.compiler.plan import plan
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import join
from sandgrain.frontend.pipeline import Moments, Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import Quantization
from sandgrain.train import scores
from tests.conftest import ROOT
from tests.support.draws import rare, turns
from tests.support.feature_windows import check_everywhere, emulated

pytest.importorskip("sklearn", reason="needs scikit-learn: pip install 'sandgrain[train]'")
from sandgrain.train.anomaly import Detector, fit

SCRIPT = ROOT / "examples" / "machine-sound" / "make_data.py"
SAMPLES, RATE = 8000, 16000  # half a second
NORMAL, TEST, FAULTY = 40, 30, 10  # windows of each machine to fit, to test, with each of the three faults
BLOCKS = [{"block": "log-mel", "window_ms": 64, "hop_ms": 64, "bands": 32}]
DETECTORS: dict[str, dict[str, Any]] = {
    "kmeans": {},
    "gmm": {"components": 4, "covariance": "full"},
    "mahalanobis": {"view": "mean"},
    "autoencoder": {"epochs": 6, "width": 32},
}


def windows() -> tuple[Array, Array, Array]:
    """int16 [n, 1, SAMPLES, 1]: normal to fit, normal to test, faulty."""
    found = importlib.util.spec_from_file_location("machine_sound", SCRIPT)
    assert found is not None and found.loader is not None
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    script.SECONDS = SAMPLES / RATE
    rng = np.random.default_rng(11)

    def mixed(fault: str, count: int) -> list[Array]:
        pairs = [
            (script.record(m, fault, rng, 1.0), script.record(m, "normal", rng)) for m in script.MACHINES for _ in range(count)
        ]
        return [np.rint(0.33 * a.astype(float) + 0.67 * b).astype(np.int16) for a, b in pairs]

    faulty = [w for fault in ("bearing", "imbalance", "tooth") for w in mixed(fault, FAULTY)]
    return tuple(np.stack(part).reshape(-1, 1, SAMPLES, 1) for part in (mixed("normal", NORMAL), mixed("normal", TEST), faulty))  # type: ignore[return-value]


@dataclass(frozen=True)
class Sound:
    """The front end, and int8 features [n, frames, bands] of the windows."""

    front: Graph
    quant: Quantization
    raw: Array  # of the faulty windows
    normal: Array
    test: Array
    faulty: Array


@cache
def sound() -> Sound:
    if not SCRIPT.is_file():
        pytest.skip("examples/machine-sound is not beside the tests")
    parts = windows()
    pipeline = Pipeline(Signal("audio", (SAMPLES, 1), float(RATE)), parse(BLOCKS))
    assert pipeline.raw is not None
    raw = on_host.loaded(generate(plan(pipeline.raw, ()), Options("raw"))).run([parts[0]])[0]
    moments = Moments(raw.shape[-1], per_column=pipeline.per_column)
    moments.add(raw.reshape(-1, raw.shape[-1]))
    norm = moments.normalization(pipeline.scales(), 4.0)
    front = pipeline.graph(norm)
    host = on_host.loaded(generate(plan(front, ()), Options("front")))
    features = [host.run([part])[0][:, 0] for part in parts]
    return Sound(front, norm.quant, parts[2], *features)


@cache
def detector(kind: str) -> Detector:
    if kind == "autoencoder":
        pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    return fit(kind, sound().normal, sound().quant, **DETECTORS[kind])


@rare
@pytest.mark.parametrize("kind", turns(list(DETECTORS), 2))
def test_the_core_ranks_windows_as_the_fitted_model_does(kind: str) -> None:
    """240 windows of log-mel features on an emulated Cortex-M4: AUC to 3 decimals, and every score that of the host."""
    found, data = detector(kind), sound()
    with emulated(found.graph, "cortex-m4") as core:
        low, high = (
            np.array([int.from_bytes(core.infer([x[None]])[0], "little", signed=True) for x in part])
            for part in (data.test, data.faulty)
        )
    assert low.tolist() == found.scores(data.test).tolist() and high.tolist() == found.scores(data.faulty).tolist()
    assert found.real is not None
    real = found.real(data.test), found.real(data.faulty)
    assert 0.6 < scores.auc(low, high) < 0.9999, "too easy or too hard to say anything"
    # The integers of an autoencoder come from post-training quantization; the others' are the fitted model's.
    limit = 0.003 if kind == "autoencoder" else 0.0005
    assert abs(scores.auc(low, high) - scores.auc(*real)) < limit
    assert abs(scores.pauc(low, high) - scores.pauc(*real)) < 4 * limit


@rare
@pytest.mark.parametrize("kind", turns(list(DETECTORS), 2))
def test_from_sound_to_score_on_every_core(kind: str) -> None:
    """Front end and detector in one graph, raw samples in."""
    joined = optimize(join(sound().front, detector(kind).graph))
    check_everywhere(joined, sound().raw[::40], emulate=2)


@rare
def test_few_normal_windows_raise_an_alarm() -> None:
    for kind in ("kmeans", "gmm", "mahalanobis"):
        found = scores.rates(detector(kind).scores(sound().test), detector(kind).scores(sound().faulty), detector(kind).threshold)
        assert found.false_alarms < 0.15 and found.found > found.false_alarms
