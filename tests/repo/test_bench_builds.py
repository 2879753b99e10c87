"""The benchmark of whole builds: which projects it makes of the examples, and what its bars say."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sandgrain.project.file.load import load

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    yield importlib.import_module("builds")
    sys.modules.pop("builds", None)


def row(task: str, variant: str = "", **figures: Any) -> dict[str, Any]:
    return {"task": task, "variant": variant, "seed": 0, "ram_bytes": 1, "flash_bytes": 1, "latency_ms": 1.0, **figures}


def test_every_variant_is_a_project_with_what_was_edited(builds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "WORK", tmp_path)
    made = {j.folder.name: j for j in builds.jobs()}
    for job in made.values():
        (job.folder / "data").mkdir(parents=True)  # nothing is generated
        project = load(builds.prepared(job)).project
        if job.variant.startswith("without-"):
            assert project.data.split.by == "group"
            assert project.data.split.choose == {"test": {"group": (job.variant.removeprefix("without-"),)}}
        elif job.variant:
            assert project.model.name == job.variant
    assert {j.seed for j in builds.jobs() if j.task == "cifar10"} == set(builds.SEEDS)


def test_a_bar_is_judged_by_the_median_of_the_seeds(builds: Any) -> None:
    rows = [row("digits", accuracy=a, accuracy_float=f) for a, f in ((0.9, 0.99), (0.985, 0.99), (0.99, 0.99))]
    found = {c.what: c for c in builds.checks(rows, None)}
    assert found["digits: accuracy"].value == 0.985 and found["digits: accuracy"].kept
    assert (
        found["digits: lost by trained in int8"].value == pytest.approx(0.005) and found["digits: lost by trained in int8"].kept
    )
    worse = [{**r, "accuracy": r["accuracy"] - 0.01} for r in rows]
    assert [c.kept for c in builds.checks(worse, None)] == [False, False]


def test_the_speakers_left_out_are_judged_together_and_only_when_all_are_there(builds: Any) -> None:
    rows = [
        row("spoken-digits", f"without-{s}", accuracy=a) for s, a in zip(builds.SPEAKERS, (0.6, 0.7, 0.8, 0.8, 0.84), strict=True)
    ]
    (check,) = builds.checks(rows, None)
    assert check.value == pytest.approx(0.748) and not check.kept
    assert list(builds.checks(rows[:4], None)) == []


def test_a_detectors_board_is_held_against_its_reference(builds: Any) -> None:
    rows = [
        row("machine-sound", "gmm", auc_board=0.9, auc_reference=0.9),
        row("machine-sound", "gmm", auc_board=0.9, auc_reference=0.902),
    ]
    (check,) = builds.checks(rows, None)
    assert check.value == pytest.approx(0.002) and not check.kept


def test_the_page_shows_the_figures_of_the_file(builds: Any) -> None:
    if not builds.PATH.exists():
        pytest.skip("no figures yet; a whole run of `python bench/builds.py` writes them")
    data = json.loads(builds.PATH.read_text("utf-8"))
    assert builds.PATH.read_text("utf-8") == builds.text(data["rows"], data["logistic_regression"])
    shown = builds.PAGE.read_text("utf-8").partition(builds.HEADING)[2]
    assert shown == builds.section(data["rows"], data["logistic_regression"]), "run `make bench`"
