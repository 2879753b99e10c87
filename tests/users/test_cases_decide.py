"""Entry 6 of the list of cases: a word is decided for once, repeats are counted, background labels are known by their names."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.graph.decisions import Event, Rule, decide, rates
from sandgrain.project.file.load import load
from tests.support.draws import rare


@pytest.mark.parametrize("length", [3, 6, 10, 40])
def test_06_a_word_that_leads_for_many_results_is_decided_for_once(length: int) -> None:
    scores = np.zeros((60, 3), np.int8)
    scores[5 : 5 + length, 1] = 90
    assert [k for k in decide(scores, Rule()).tolist() if k >= 0] == [1]


def test_06_it_is_decided_for_again_once_it_has_fallen_below_the_margin() -> None:
    scores = np.zeros((60, 3), np.int8)
    scores[5:15, 1] = scores[30:40, 1] = 90
    assert decide(scores, Rule()).tolist().count(1) == 2
    scores[15:30, 1] = 90
    assert decide(scores, Rule()).tolist().count(1) == 1
    scores[18:24, 2] = 127  # another word between, which leads
    scores[18:24, 1] = 0
    assert [k for k in decide(scores, Rule()).tolist() if k >= 0] == [1, 2, 1]


def test_06_a_repeat_is_a_false_accept() -> None:
    found, times = np.full(100, -1), np.arange(100) * 0.5
    found[[20, 22, 24]] = 1
    once = rates(found, times, [Event(1, 9.0, 12.0)], 3600.0)
    assert (once.false_accepts_per_hour, once.false_rejects) == (2.0, 0.0)
    twice = rates(found, times, [Event(1, 9.0, 10.5), Event(1, 11.0, 12.0)], 3600.0)
    assert (twice.false_accepts_per_hour, twice.false_rejects) == (1.0, 0.0)


@rare
@pytest.mark.parametrize(
    "name", ["noise", "silence", "unknown", "background", "_background_noise", "Other", "no_wake_word", "NEGATIVE"]
)
def test_06_init_proposes_background_labels_by_their_names(name: str, tmp_path: Path) -> None:
    for label in ("up", "down", name):
        for k in range(2):
            (tmp_path / "x" / label).mkdir(parents=True, exist_ok=True)
            with wave.open(str(tmp_path / "x" / label / f"{k}.wav"), "wb") as out:
                out.setparams((1, 2, 8000, 0, "NONE", ""))
                out.writeframes(bytes(8000))
    found = api.init(tmp_path / "x", out=tmp_path / "made")
    project = load(tmp_path / "made").project
    if name.startswith("_"):  # a folder that is set aside is not a label at all
        assert project.data.background == (f"{name}/*.wav",) and found.labels == ("down", "up")
    else:
        assert project.decide.background == found.background == (name,)
        assert any("[decide] background" in note for note in found.notes)
