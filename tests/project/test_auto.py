"""`sandgrain build --auto`: what is tried, what is refused, what is chosen, and how it is kept."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.base.tables import drawn
from sandgrain.frontend.blocks import BLOCKS
from sandgrain.frontend.signal import Signal
from sandgrain.project import inspection
from sandgrain.project.auto import candidates, keep, quick, search
from sandgrain.project.auto.result import Searched
from sandgrain.project.build import advice
from sandgrain.project.build.limits import Check
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import Loaded, load
from sandgrain.project.file.schema import Budget
from tests.project.test_build_numbers import project as of_numbers
from tests.support.command import sandgrain as command
from tests.support.sensor_project import project

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from sandgrain.train import models  # noqa: E402


def names(loaded: Loaded, signal: Signal) -> list[str]:
    return [f"{c.features}, {c.network}" for c in candidates.candidates(loaded, signal)]


@pytest.fixture
def waves(tmp_path: Path) -> Loaded:
    return load(project(tmp_path / "waves", epochs="2"))


# --- what is tried


@pytest.mark.parametrize(
    ("signal", "block", "model"),
    [
        (Signal("motion", (128, 3), 50.0), "vibration", "mlp"),
        (Signal("motion", (128, 3), 50.0), "raw", "cnn1d"),
        (Signal("motion", (4000, 1), 2000.0), "spectrogram", "dscnn"),
        (Signal("audio", (16000, 1), 16000.0), "log-mel", "dscnn"),
        (Signal("audio", (8000, 1), 8000.0), "mfcc", "tcresnet"),
        (Signal("image", (32, 32, 3)), "raw", "resnet8"),
    ],
)
def test_features_and_models_that_fit_the_kind_are_tried(waves: Loaded, signal: Signal, block: str, model: str) -> None:
    found = candidates.candidates(waves, signal)
    assert found[0].own and any(c.blocks[-1].name() == block and c.model.name == model for c in found[1:])
    assert len(found) <= 14 and len({c.key for c in found}) == len(found)
    for c in found[1:]:
        rank = candidates._rank(signal, c.blocks)
        assert rank in models.CATALOGUE[c.model.name].ranks and c.model.width in models.CATALOGUE[c.model.name].tries[rank]


def test_long_sound_is_not_tried_sample_by_sample(waves: Loaded) -> None:
    assert not any("raw" in name for name in names(waves, Signal("audio", (16000, 1), 16000.0))[1:])


def test_what_offers_itself_can_be_built() -> None:
    for block in BLOCKS.values():
        for signal in (Signal("motion", (16, 1), 10.0), Signal("motion", (3, 2), 1.0), Signal("audio", (400, 1), 8000.0)):
            for offered in block.tries(signal):
                assert signal.kind in block.kinds and offered.name() == block.name()
    offered = [family for family in models.CATALOGUE.values() if family.tries]
    assert len(offered) >= 4
    for family in offered:
        assert not family.reconstructs and set(family.tries) <= set(family.ranks)


def test_filters_that_the_user_put_in_front_stay(waves: Loaded) -> None:
    text = waves.file.read_text().replace(
        '[[features]]\nblock = "raw"', '[[features]]\nblock = "decimate"\nfactor = 2\n\n[[features]]\nblock = "raw"'
    )
    waves.file.write_text(text)
    found = candidates.candidates(load(waves.file), Signal("motion", (64, 1), 64.0))
    assert all(c.blocks[0].name() == "decimate" for c in found)


def test_the_project_is_not_tried_twice(waves: Loaded) -> None:
    """`raw` computes nothing: with it and without it, behind a filter or not, the network sees the same."""
    text = waves.file.read_text().replace('name = "cnn1d"\nwidth = 4', 'name = "cnn1d"\nwidth = 16')
    for features in ('[[features]]\nblock = "raw"', "", '[[features]]\nblock = "decimate"\nfactor = 2'):
        waves.file.write_text(text.replace('[[features]]\nblock = "raw"', features))
        found = candidates.candidates(load(waves.file), Signal("motion", (64, 1), 64.0))
        assert [c.own for c in found if c.model.name == "cnn1d" and "spectrogram" not in c.features] == [True], features


# --- the comparison


class _Report:
    """Costs of a network that nobody measured."""

    macs = 1000
    latency_ms = 1.0

    def __init__(self, own: bool) -> None:
        self.ram_bytes, self.flash_bytes = (900, 9000) if own else (500, 5000)


def compared(loaded: Loaded, monkeypatch: pytest.MonkeyPatch, scores: dict[str, float], **how: Any) -> Searched:
    """A search whose networks get these scores by the name of their model, without a C compiler and without training."""
    monkeypatch.setattr(candidates, "BLOCKS", {name: BLOCKS[name] for name in ("raw", "statistics")})
    monkeypatch.setattr(quick, "prepared", lambda ground, candidate: candidate)
    told: list[str] = how.pop("told", [])

    def tested(ground: Any, candidate: Any, made: Any, effort: quick.Effort, deadline: float, progress: Any) -> list[Any]:
        told.append(f"{candidate.network} {effort.steps}")
        if ground.sample.numbers is not None:
            return [np.array([scores[candidate.model.name], 2.0])] * effort.folds
        right = round(100 * scores[candidate.model.name])
        return [np.array([[right, 100 - right], [100 - right, right]])] * effort.folds

    def fits(self: Any, state: Any, made: Any, *, thorough: bool) -> bool:
        state.report = _Report(state.candidate.own)
        missed = [Check("RAM", "bytes", 400, 500, "[budget] ram")] if state.candidate.model.name == how.get("refused") else []
        state.outcome = f"refused: {missed[0].sentence()}" if missed else ""
        return not missed

    monkeypatch.setattr(quick, "tested", tested)
    near = how.get("near", lambda state: False)
    monkeypatch.setattr(search._Comparison, "_fits", how.get("fits", fits))
    monkeypatch.setattr(search._Comparison, "_near", lambda self, state: near(state))
    minutes, write = how.get("minutes", 5.0), how.get("write", False)
    return search.search(loaded, loaded.folder / "out", minutes=minutes, seed=None, write=write, progress=lambda *a: None)


SCORES = {"cnn1d": 0.7, "mlp": 0.9, "dscnn": 0.6, "tcresnet": 0.5}


def test_the_better_ones_are_trained_longer_and_the_best_is_chosen(waves: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    found = compared(waves, monkeypatch, SCORES, told=told)
    assert found.chosen.model.name == "mlp" and found.chosen.features == "statistics" and "90.0 %" in found.why
    assert found.measure == "balanced" and found.folds == 3 and found.windows == 56  # the test side takes no part
    rounds = {f"{t.candidate.network}": t.rounds for t in found.tried}
    assert rounds["tcresnet 16"] == 1 and found.tried[0].rounds == 3 and found.tried[0].outcome == "chosen"
    assert "mlp 64 450" in told and "mlp 64 150" not in told  # the other width of a good one comes in later
    assert {t.candidate.network for t in found.tried if t.outcome.startswith("behind after 150")} == {"tcresnet 16", "dscnn 32"}


def test_of_equals_the_smaller_one_is_taken_and_trained_first(waves: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    found = compared(waves, monkeypatch, {**SCORES, "cnn1d": 0.9}, told=told)
    assert not found.chosen.own and found.tried[0].flash_bytes == 5000
    assert {t.outcome for t in found.tried if t.candidate.own} <= {"as good, and larger", "behind after 450 steps"}
    (own,) = {t.candidate.network for t in found.tried if t.candidate.own}
    longer = [line for line in told if line.endswith(" 450")]
    assert longer.index("mlp 32 450") < longer.index(f"{own} 450")  # of equal ones the larger waits, should the time end


def test_a_row_is_one_line_of_80_columns(waves: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(waves, monkeypatch, SCORES)
    rows = tuple(replace(t, ram_bytes=102_400, flash_bytes=1_000_000, latency_ms=12.345, score=1.0) for t in found.tried)
    text = drawn([replace(found, measure="macro F1", tried=rows).table()])
    assert len(text.splitlines()) == 1 + len(rows) and max(map(len, text.splitlines())) <= 80


def test_what_cannot_keep_a_limit_is_not_trained(waves: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    found = compared(waves, monkeypatch, SCORES, refused="mlp", told=told)
    assert found.chosen.model.name == "cnn1d" and not any(line.startswith("mlp") for line in told)
    (refused,) = [t for t in found.tried if t.outcome.startswith("refused")]
    assert "RAM 500 B exceeds 400 B" in refused.outcome and refused.score is None
    text = drawn(found.lines())
    assert "mlp 32: statistics: refused: RAM 500 B exceeds 400 B" in text and max(map(len, text.splitlines())) <= 80
    assert {t.short for t in found.tried} == {"chosen", "refused", "behind", "as good"}
    assert len(found.table().rows) == len(found.tried) and all(len(row[-1]) <= 12 for row in found.table().rows)


def test_without_time_one_is_trained_and_the_others_say_so(waves: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(waves, monkeypatch, SCORES, minutes=1e-9)
    assert found.chosen.own and found.tried[0].rounds == 1
    assert all(t.outcome.startswith("no time") for t in found.tried[1:])


def test_the_measure_is_the_one_that_the_budget_asks_for() -> None:
    assert search.measure_of(Budget()) == "balanced"
    assert search.measure_of(Budget(accuracy=0.9)) == "accuracy" and search.measure_of(Budget(f1=0.9)) == "macro F1"
    counts = np.array([[90, 0], [10, 0]])  # always the frequent label
    assert search._score(counts, ["a", "b"], "accuracy") == 0.9 and search._score(counts, ["a", "b"], "balanced") == 0.5


@pytest.fixture
def gas(tmp_path: Path) -> Loaded:
    """Windows of eight rows with a number each; every fifth row has none."""
    folder = of_numbers(tmp_path / "gas", data="stride_s = 1\n")
    lines = (folder / "sensors.csv").read_text().splitlines()
    lines[5::5] = [line.rpartition(",")[0] + "," for line in lines[5::5]]
    (folder / "sensors.csv").write_text("\n".join(lines))
    (folder / "sandgrain.toml").write_text((folder / "sandgrain.toml").read_text().replace("window_s = 1", "window_s = 8"))
    return load(folder)


def test_of_numbers_the_one_with_the_least_error_is_chosen(gas: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"mlp": 9.0, "cnn1d": 3.0, "dscnn": 5.0, "tcresnet": 7.0}
    found = compared(gas, monkeypatch, errors)
    assert found.chosen.model.name == "cnn1d" and found.measure == "MAE" and found.why.startswith("MAE 3 ppm, the best of")
    assert found.tried[0].score == 3.0 and found.tried[0].row()[1] == "3" and "%" not in drawn([found.table()])
    later = [t.score for t in found.tried[1:] if t.rounds == found.tried[1].rounds and t.score is not None]
    assert later == sorted(later), "the better ones first"
    near = compared(gas, monkeypatch, {**errors, "mlp": 3.01})
    assert near.chosen.own or near.tried[0].flash_bytes == 5000, "of equal ones the smaller"


def test_numbers_are_compared_by_the_error_that_the_budget_asks_for() -> None:
    assert search.measure_of(Budget(), numbers=True) == "MAE" == search.measure_of(Budget(mae=1, rmse=2), numbers=True)
    assert search.measure_of(Budget(rmse=2), numbers=True) == "RMSE" == search.measure_of(Budget(r2=0.5), numbers=True)
    assert search._score(np.array([1.5, 2.5]), [], "RMSE") == 2.5 and search._score(np.array([1.5, 2.5]), [], "MAE") == 1.5


def test_a_candidate_learns_the_numbers_of_the_windows_that_have_one(gas: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last row has one in four windows of five; a short training beats a constant."""
    found = inspection.inspect(gas)
    ground = search._ground(found, Store(gas.work / "auto"), 0)
    numbers = ground.sample.numbers
    assert numbers is not None and not np.isnan(numbers).any() and len(numbers) == len(ground.sample.x)
    rows = np.genfromtxt(gas.root / "sensors.csv", delimiter=",", skip_header=1)
    last = np.rint(rows[:, 0] / 4 * 32768)
    for window, number in zip(ground.sample.x[:9], numbers[:9], strict=True):
        (at,) = np.flatnonzero(np.isclose(last, window[-1, 0], atol=1) & np.isclose(rows[:, 2], number))
        assert rows[at, 2] == number
    candidate = candidates.Candidate(gas.blocks, gas.project.model, own=True)
    made = quick.prepared(ground, candidate)
    ((mae, rmse),) = quick.tested(ground, candidate, made, quick.Effort(300, 1), float("inf"), lambda *a: None)
    _, test = ground.folds[0]
    constant = np.abs(numbers[test] - np.median(numbers)).mean()
    assert 0 < mae <= rmse and mae < 0.7 * constant


def test_without_a_validation_side_the_last_quarter_of_what_trains_decides(gas: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """As init writes it for small data that is split by time."""
    gas.file.write_text(gas.file.read_text().replace("validation = 0.15", "validation = 0"))
    loaded = load(gas.file)
    ((train, test),) = search._ground(inspection.inspect(loaded), Store(loaded.work / "auto"), 0).folds
    assert train.max() + 5 < test.min() and 0.2 < len(test) / (test.max() + 1) < 0.3
    found = compared(loaded, monkeypatch, {"mlp": 9.0, "cnn1d": 3.0, "dscnn": 5.0, "tcresnet": 7.0})
    assert found.folds == 1 and found.how.endswith("the last quarter of each recording")


def test_windows_that_all_have_the_same_number_are_refused(gas: Loaded) -> None:
    (gas.root / "sensors.csv").write_text("a,b,gas\n" + "".join(f"{k % 3},{k % 2},5\n" for k in range(200)))
    with pytest.raises(UsageError, match="windows of two numbers"):
        search.search(gas, gas.folder / "out", minutes=1, seed=None, write=False, progress=lambda *a: None)


def test_a_detector_is_refused(waves: Loaded) -> None:
    file = waves.file
    file.write_text(file.read_text().replace('name = "cnn1d"\nwidth = 4', 'name = "kmeans"'))
    with pytest.raises(UsageError, match="kmeans is none"):
        search.search(load(file), file.parent / "out", minutes=1, seed=None, write=False, progress=lambda *a: None)
    refused = command("build", "--write", cwd=file.parent)
    assert refused.code == 2 and "--auto" in refused.line


# --- how it is kept


MIXED = """\
[data]
kind = "motion"
classes = [
  "a",
]
[[features]]
block = "decimate"
factor = 2
[[features]]
block = "raw"

# the limits
[budget]
ram = "8K"
[model]
name = "a"
[model.options]
blocks = 3
"""
TABLES = {"features": [{"block": "vibration", "which": ["rms", "mean"]}], "model": {"name": "mlp", "width": 32}}


@pytest.mark.parametrize(
    "text",
    [
        '[data]\nkind = "motion"\n\n[[features]]\nblock = "raw"\n\n[model]\nname = "cnn1d"\n\n[train]\nseed = 3\n',
        '[model]\nname = "cnn1d" # small\n# width = 16\n\n[data]\nkind = "motion"\n',
        'data = { kind = "motion" }\n',
        MIXED,
    ],
)
def test_the_choice_is_written_and_nothing_else_changes(text: str) -> None:
    new, old = keep.replaced(text, TABLES), tomllib.loads(text)
    assert tomllib.loads(new) == {**old, **TABLES}
    assert ("# the limits\n[budget]" in text) == ("# the limits\n[budget]" in new)


def test_a_file_that_lines_cannot_change_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "sandgrain.toml"
    file.write_text('model = { name = "cnn1d" }\n[data]\nkind = "motion"\n')
    with pytest.raises(UsageError, match="by hand"):
        keep.write(file, TABLES)
    assert file.read_text().startswith("model = {")


def test_the_choice_is_in_the_file_only_where_it_is_asked_for(waves: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    before = waves.file.read_text()
    assert not compared(waves, monkeypatch, SCORES).written and waves.file.read_text() == before
    found = compared(waves, monkeypatch, SCORES, write=True)
    kept = tomllib.loads(waves.file.read_text())
    assert found.written and kept["model"] == {"name": "mlp", "width": 32} and kept["features"] == [{"block": "statistics"}]
    assert {k: v for k, v in kept.items() if k not in ("model", "features")} == {
        k: v for k, v in tomllib.loads(before).items() if k not in ("model", "features")
    }
    again = load(waves.file)
    assert again.blocks == found.chosen.blocks and again.project.model == found.chosen.model


@pytest.mark.slow
def test_a_build_with_auto_trains_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sandgrain

    monkeypatch.setattr(search, "STEPS", (6, 8, 10))
    monkeypatch.setattr(candidates, "BLOCKS", {"statistics": BLOCKS["statistics"]})
    monkeypatch.setattr(advice, "untrained", lambda run, task, request, thorough=True: (None, []))
    folder = project(tmp_path / "waves", epochs="2")
    built = sandgrain.build(folder, auto=True, verify=4, html=folder / "page.html")
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["auto"]["chosen"] == built.auto.chosen.tables and len(report["auto"]["candidates"]) >= 2
    assert built.model == built.auto.chosen.model.name and built.verdict.identical
    assert "What was tried" in (folder / "page.html").read_text() and "chosen:" in str(built)
    kept = len(list((folder / ".sandgrain" / "auto").glob("trial-*")))
    again = sandgrain.build(folder, auto=True, verify=4)
    assert again.auto.to_json() == built.auto.to_json()
    assert len(list((folder / ".sandgrain" / "auto").glob("trial-*"))) == kept  # nothing was trained twice


def test_what_other_kernels_may_bring_below_a_limit_is_measured_before_a_longer_training(
    waves: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []
    near = {"cnn1d"}

    def untrained(run: Any, task: Any, request: Any, *, thorough: bool) -> tuple[Any, list[Check]]:
        asked.append((run.project.model.name, thorough))
        missed = [Check("latency", "ms", 1.0, 1.2, "[budget] latency")] if thorough and run.project.model.name in near else []
        return _Report(False), missed

    fits = search._Comparison._fits
    monkeypatch.setattr(search.run, "request_of", lambda run, fitted: None)
    monkeypatch.setattr(advice, "untrained", untrained)

    def through(self: Any, state: Any, made: Any, *, thorough: bool) -> bool:
        found = replace(self.ground.found, loaded=state.candidate.of(self.ground.found.loaded))
        return fits(self, state, SimpleNamespace(samples=Samples(found, self.ground.store)), thorough=thorough)  # type: ignore[arg-type]

    found = compared(
        waves, monkeypatch, {**SCORES, "cnn1d": 0.95}, fits=through, near=lambda state: state.candidate.model.name in near
    )
    assert ("cnn1d", True) in asked and ("mlp", False) in asked and asked.count(("cnn1d", False)) == 2
    assert found.chosen.model.name == "mlp"
    late = [t for t in found.tried if t.outcome.startswith("refused: latency 1.2 ms exceeds")]
    assert late and all(t.rounds <= 1 and t.candidate.model.name == "cnn1d" for t in late)
