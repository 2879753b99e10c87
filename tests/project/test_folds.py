"""Cross-validation: every recording is tested once, by a network that saw neither it nor its group."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.dataset import split
from sandgrain.dataset.records import Record
from sandgrain.graph.decisions import Event, Rule
from sandgrain.project.build import detection, spotting
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.rates import Rates
from sandgrain.project.build.recording import Recording
from tests.support.command import sandgrain as command
from tests.support.draws import rare
from tests.support.sensor_project import project


def records(labels: dict[str, int], groups: int = 0) -> list[Record]:
    made = []
    for label, n in labels.items():
        for k in range(n):
            group = f"p{k % groups}" if groups else ""
            made.append(Record(f"{label}/{k}.csv", label, group, "motion", (100, 3), 50.0, f"{label}{k}"))
    return made


def test_every_recording_is_tested_once_and_labels_are_even() -> None:
    given = records({"walk": 50, "fall": 10})
    cuts = list(split.folds(given, 5, split.Draw(validation=0.2), grouped=False))
    tested = Counter(key for _, sides in cuts for key, side in sides.items() if side == "test")
    assert tested == Counter(r.key for r in given) and [name for name, _ in cuts] == [f"fold {k}" for k in range(1, 6)]
    for _, sides in cuts:
        counts = Counter((r.label, sides[r.key]) for r in given)
        assert (counts["walk", "test"], counts["fall", "test"]) == (10, 2)
        assert counts["walk", "validation"] == 8 and counts["fall", "validation"] >= 1


def test_groups_and_copies_stay_whole() -> None:
    given = records({"walk": 40, "fall": 40}, groups=8)
    for _, sides in split.folds(given, 4, split.Draw(validation=0.2), grouped=True):
        of = {group: {sides[r.key] for r in given if r.group == group} for group in {r.group for r in given}}
        assert all(len(where) == 1 for where in of.values())
        assert sum(where == {"test"} for where in of.values()) == 2
    same = [Record(r.key, r.label, r.group, r.kind, r.shape, r.rate, "one content") for r in given[:3]] + given[3:]
    for _, sides in split.folds(same, 4, split.Draw(validation=0.0), grouped=False):
        assert len({sides[r.key] for r in same[:3]}) == 1


def test_weights_even_out_what_recordings_give() -> None:
    given = records({"walk": 12})
    weights = {r.key: 10 if k < 2 else 1 for k, r in enumerate(given)}
    sizes = []
    for _, sides in split.folds(given, 2, split.Draw(validation=0.0), grouped=False, weights=weights):
        sizes.append(sum(weights[key] for key, side in sides.items() if side == "test"))
    assert sizes == [15, 15]


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(UsageError, match="9 folds of 8 groups; choose 2 to 8"):
        list(split.folds(records({"walk": 40}, groups=8), 9, split.Draw(), grouped=True))


@rare
def test_a_build_with_folds_says_mean_spread_and_worst(tmp_path: Path) -> None:
    folder = project(tmp_path / "waves", epochs="2")
    done = command("build", "--folds", "3", "--verify", "8", cwd=folder, timeout=300.0)
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 80
    found = json.loads((folder / "out" / "report.json").read_text())["cross_validation"]
    assert found["how"] == "3 folds" and sum(fold["windows"] for fold in found["folds"]) == 80
    accuracies = [fold["accuracy"] for fold in found["folds"]]
    assert found["measures"]["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert found["measures"]["accuracy"]["worst"] == min(accuracies)
    right = sum(fold["accuracy"] * fold["windows"] for fold in found["folds"])
    assert found["pooled"]["accuracy"] == pytest.approx(right / 80)
    report = json.loads((folder / "out" / "report.json").read_text())
    assert (report["windows"]["train"], report["windows"]["test"]) == (64, 80) and report["windows"]["validation"] == 16
    assert report["accuracy"] == pytest.approx(found["pooled"]["accuracy"]) and report["trained_on"].startswith(
        "trained on 64 windows"
    )
    assert "trained on 64 windows of all recordings (16 more watch" in " ".join(done.out.split())
    assert report["identical"] and report["verified_windows"] == 8
    refused = command("build", "--leave-out", "group", cwd=folder)
    assert refused.code == 2 and "no group" in refused.line
    assert "choose 2 folds or more" in command("build", "--folds", "2", "--leave-out", "group", cwd=folder).line


def test_detectors_of_folds_are_judged_by_what_none_was_fitted_to() -> None:
    def fold(auc: float, false: float, detected: float, windows: tuple[int, int], hours: float) -> detection.OfFold:
        right = ((1 - false) * windows[0] + detected * windows[1]) / sum(windows)
        one = Rates(auc, auc, false, detected, right, windows)
        rows = (detection.ByLabel("good", windows[0], false, None), detection.ByLabel("worn", windows[1], detected, auc))
        return detection.OfFold(one, one, rows, Hourly(round(false * windows[0]), hours))

    own: Any = detection.Anomalies("good", *[Rates(1.0, 1.0, 0.0, 1.0, 1.0, (9, 9))] * 5, (), (), *[np.zeros(0)] * 2, 5, {})
    found = detection.pooled(own, [fold(0.9, 0.1, 0.5, (10, 4), 1.0), fold(0.7, 0.0, 1.0, (30, 4), 2.0)])
    assert found.host.auc == pytest.approx(0.8) and found.host.windows == (40, 8) and found.crossed
    assert found.host.false_alarms == pytest.approx(1 / 40) and found.host.detected == pytest.approx(0.75)
    assert found.hourly is not None and found.hourly.per_hour == pytest.approx(1 / 3)
    quality = detection.quality(found)
    assert quality.recall == {"worn": pytest.approx(0.75)} and quality.auc == pytest.approx(0.8)
    assert found.board == own.board  # the firmware's own proof


def test_keywords_in_the_folds_recordings_add_up() -> None:
    def part(decided: int, seconds: float) -> spotting.Part:
        recording = Recording((), (Event(1, 0.0, 1.0),), int(seconds), 1.0, "", 0)
        scores = np.full((4, 2), -100, np.int8)
        scores[0, decided] = 100
        return spotting.Part(scores, np.arange(1.0, 5.0), recording, Rule(1, 50, 2, (0,)))

    parts = [part(1, 3600), part(0, 7200)]
    found = spotting._summed([p.judged(0.0) for p in parts])
    assert (found.hours, found.events, found.false_rejects, found.false_accepts_per_hour) == (3.0, 2, 0.5, 0.0)
    assert parts[0].matched(0.0) == (0, [1.0]) and parts[1].matched(0.0) == (0, [])
    lost = spotting._summed([p.judged(0.0, margin=255) for p in parts])
    assert lost.false_rejects == 1.0
