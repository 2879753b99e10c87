"""Whole networks from Keras: the same numbers as there, the same bytes in numpy, on the host and on the core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandgrain.formats import sources
from sandgrain.graph import reals
from sandgrain.graph.text import dump
from tests.support.draws import rare, turns
from tests.support.import_proof import prove
from tests.support.keras_models import MODELS, computed, saved

CLOSE = 1e-4  # of the largest output
DECIBELS = 20.0
LARGEST = "mobilenet_v2_035"


@rare
@pytest.mark.parametrize("name", [pytest.param(LARGEST, marks=pytest.mark.slow), *turns([m for m in MODELS if m != LARGEST], 3)])
def test_a_model_is_the_same_in_keras_in_numpy_and_on_the_core(name: str, tmp_path: Path) -> None:
    known = MODELS[name]
    model, samples = known.model(), known.samples()
    graph = sources.load(model, name)
    assert dump(sources.load(saved(model, tmp_path / "m.keras"), name)) == dump(graph)
    x = samples[:, None]
    wanted = [w[:, None] for w in computed(model, samples)]
    for ours, theirs in zip(reals.outputs(graph, x), wanted, strict=True):
        assert np.abs(ours.reshape(theirs.shape) - theirs).max() <= CLOSE * np.abs(theirs).max()
    assert known.transposes or "transpose" not in [n.op for n in graph.nodes]
    ratio = prove(graph, [x], wanted)
    print(f"{name}: {ratio:.1f} dB")
    assert ratio > DECIBELS
