"""`sandgrain build` of detectors: fitted to normal windows alone, the threshold in the C, the same scores everywhere."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.draws import rare

pytest.importorskip("sklearn", reason="needs scikit-learn: pip install 'sandgrain[train]'")
import sandgrain as tool
from sandgrain.base.errors import UsageError
from sandgrain.bundle import store
from sandgrain.device.toolchain import gcc, zig
from sandgrain.project import inspection
from sandgrain.project.build import normal_side, run
from sandgrain.project.build import page as pages
from sandgrain.project.build.detection import Anomalies
from sandgrain.project.build.rates import rates
from sandgrain.project.build.result import Built
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load
from sandgrain.project.tasks import anomalies
from sandgrain.train import loop
from tests.support.anomaly_project import project
from tests.support.command import sandgrain, tree

if TYPE_CHECKING:
    from torch import nn


def build(folder: Path, out: Path | None = None) -> Built[Anomalies]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "THREADS", 1)
        return run.build(load(folder), out or folder / "out")


@pytest.fixture(scope="module")
def hums(tmp_path_factory: pytest.TempPathFactory) -> Built[Anomalies]:
    return build(project(tmp_path_factory.mktemp("detect") / "hums", options="components = 6"))


def same_everywhere(built: Built[Anomalies]) -> None:
    f, total = built.figures, built.windows["test"]
    assert built.verdict.identical and built.verdict.compared == {"host": total, "stream": total, "emulator": total}
    assert built.verdict.scores == tuple(f.scores.tolist()) and f.board == f.host
    assert f.board.auc is not None and f.floats.auc is not None
    assert f.reference == f.board and built.to_json()["auc_reference"] == built.to_json()["auc_board"] == f.board.auc
    assert abs(f.board.auc - f.floats.auc) < (0.005 if built.model == "autoencoder" else 0.0005) and f.board.auc > 0.6


def test_the_board_tells_anomalies_as_numpy_does(hums: Built[Anomalies]) -> None:
    same_everywhere(hums)
    assert not hums.missed and [c.name for c in hums.checks] == ["RAM", "flash", "AUC"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mahalanobis", ""),
        pytest.param("gmm", "components = 2", marks=pytest.mark.slow),
        pytest.param("autoencoder", "", marks=pytest.mark.slow),
    ],
)
def test_every_kind_is_built(name: str, options: str, tmp_path: Path) -> None:
    same_everywhere(build(project(tmp_path / "hums", name, options, "")))


@rare
def test_negatives_are_heard_by_the_finished_c_and_judged_in_the_budget(tmp_path: Path) -> None:
    folder = project(tmp_path / "hums", "mahalanobis", "", "false_alarms_per_hour = 1")
    rng = np.random.default_rng(5)
    quiet = rng.normal(0, 300, (1, 640, 2))
    quiet[0, 320:352] += 20_000  # a bang of half a second
    np.savez(folder / "quiet.npz", x=quiet.astype(np.int16))
    file = folder / "sandgrain.toml"
    file.write_text(file.read_text().replace("rate = 64\n", 'rate = 64\nnegatives = ["quiet.npz"]\n'))
    built = build(folder)
    told = built.to_json()["negatives"]
    assert (told["recordings"], told["seconds"]) == (1, 10.0) and told["false"] >= 1
    assert told["false_alarms_per_hour"] == told["false"] * 360 < told["false_alarms_per_hour_at_most"]
    assert [c.name for c in built.missed] == ["false alarms"]
    assert "with nothing in it, below" in pages.render(built) and built.windows["train"] < 160
    file.write_text(file.read_text().replace("per_hour = 1\n", f"per_hour = {told['false_alarms_per_hour']}\n"))
    kept = build(folder)
    assert not kept.missed and "kept, not shown" in pages.render(kept)
    assert kept.notes[0].startswith(f"false alarms are not shown to be at most {told['false_alarms_per_hour']:,.0f} per hour: ")


def test_only_normal_recordings_are_learned_from(hums: Built[Anomalies]) -> None:
    sides, records = hums.samples.found.sides, hums.samples.found.records
    assert {r.label for r in records if sides[r.key] != "test"} == {"normal"} and hums.figures.normal == "normal"
    assert sum(r.label == "rattle" for r in records) == 32 == hums.figures.board.windows[1]
    assert "went to the test: a detector learns from normal ones alone" in hums.notes[0]


def test_the_threshold_is_in_the_c_and_in_the_proof(hums: Built[Anomalies]) -> None:
    bundle = store.load_bundle(hums.folder)
    assert bundle.compiled.source.options.threshold == hums.figures.threshold and not bundle.edited
    assert f"#define HUMS_THRESHOLD {hums.figures.threshold}\n" in (hums.folder / "hums.h").read_text()
    assert (hums.folder / "proof" / "model.txt").is_file() and not (hums.folder / "proof" / "model.tflite").exists()


def test_the_example_says_on_the_board_what_it_says_here(hums: Built[Anomalies], tmp_path: Path) -> None:
    command = [
        *(gcc.host_command() or zig.host_command()),
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-DSG_ANY_CORE",
        "-I..",
    ]
    here = hums.folder / "example"
    subprocess.run([*command, "main.c", "../hums.c", "-o", str(tmp_path / "example")], cwd=here, check=True)
    done = subprocess.run([str(tmp_path / "example")], capture_output=True, text=True, check=True)
    assert done.stdout == hums.example
    assert done.stdout == f"anomaly, score {hums.figures.scores.max()}, threshold {hums.figures.threshold}\n"


def test_the_functions_to_call_are_those_of_the_header_and_end_with_the_alarm(hums: Built[Anomalies]) -> None:
    header = (hums.folder / f"{hums.report.name}.h").read_text()
    assert [c.removeprefix(hums.report.name) for c in hums.calls] == ["_push", "_classify", "_is_anomaly"]
    assert all(f"{call}(" in header for call in hums.calls)


@rare
def test_the_html_page_loads_nothing_and_has_its_plots(hums: Built[Anomalies]) -> None:
    text = pages.render(hums)
    assert "<script" not in text and "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    for title in (
        "Budget",
        "Detection",
        "Labels",
        "Scores",
        "ROC curve",
        "Memory over time",
        "Worst windows",
        "Stages of this build",
    ):
        assert f">{title}</h2>" in text, title
    assert "hums_is_anomaly(score[0])" in text and "at least 0.600" in text


def test_whole_recordings_are_scored_by_time_and_events_and_drawn(hums: Built[Anomalies], tmp_path: Path) -> None:
    """Hums of 5 s, one with a third tone from 2 to 3 s, which a column says of one file and a table beside the other."""
    rng, t = np.random.default_rng(1), np.arange(320) / 32
    strange = np.where((np.arange(320) >= 128) & (np.arange(320) < 192), 0.8, 0.0) * np.sin(2 * np.pi * 9 * t)
    x = np.stack([np.sin(2 * np.pi * 2 * t) + strange, 0.5 * np.sin(2 * np.pi * 3 * t) - strange], 1)
    x = ((x + rng.normal(0, 0.08, x.shape)) * 9000).astype(int)
    (tmp_path / "rows").mkdir()
    said = ["1" if 128 <= k < 192 else "0" for k in range(320)]
    head = ",".join(c.name or f"c{k}" for k, c in enumerate(hums.samples.pipeline.signal.channels)) or "a,b"
    rows = [f"{a},{b}" for a, b in x]
    (tmp_path / "rows" / "a.csv").write_text(f"{head},fault\n" + "".join(f"{r},{y}\n" for r, y in zip(rows, said, strict=True)))
    found = json.loads(
        sandgrain("score", str(hums.folder), "rows", "--label-column", "fault", "--json", "--html", "page.html", cwd=tmp_path).out
    )
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / "a.csv").write_text(f"{head}\n" + "".join(f"{r}\n" for r in rows))
    (tmp_path / "side" / "a.labels.csv").write_text("start,end,label\n2,3,rattle\n")
    beside = tool.score(hums.folder, tmp_path / "side").to_json()
    assert found["moments"] == beside["moments"] and found["threshold"] == hums.figures.threshold
    assert found["moments"]["recall"] > 0.4 and found["auc"] > 0.8 and [e["label"] for e in found["events"]] == ["1"]
    assert [e["label"] for e in beside["events"]] == ["rattle"] and beside["events"][0]["hits"] == 1
    assert "<svg" in (tmp_path / "page.html").read_text()
    with pytest.raises(UsageError, match=r"normal.*: no recording has the label quiet; they have rattle"):
        tool.score(hums.folder, tmp_path / "side", normal="quiet")


def test_a_second_build_makes_nothing(hums: Built[Anomalies]) -> None:
    before = tree(hums.folder)
    again = build(hums.folder.parent)
    assert all(s.kept for s in again.stages if s.name != "data") and tree(hums.folder) == before
    assert json.loads(json.dumps(again.to_json())) == json.loads((hums.folder / "report.json").read_text())


def test_the_command_prints_the_page_and_json_and_fails_over_budget(hums: Built[Anomalies]) -> None:
    folder = hums.folder.parent
    page = sandgrain("build", "-o", "out", cwd=folder)
    assert page.code == 0, page.err
    assert max(len(line.rstrip()) for line in page.out.splitlines()) <= 80
    for word in (
        "AUC",
        "pAUC",
        "false alarms",
        "emulated board",
        "rattle",
        "threshold",
        "[budget] auc",
        "anomaly, score",
        ", ".join(hums.calls),
    ):
        assert word in page.out, word
    text = (folder / "sandgrain.toml").read_text()
    try:
        (folder / "sandgrain.toml").write_text(text.replace("auc = 0.6", "auc = 1.0"))
        done = sandgrain("build", "-o", "out", "--json", cwd=folder)
    finally:
        (folder / "sandgrain.toml").write_text(text)
    assert done.code == 3 and done.line.startswith("AUC 0.") and "misses 1.000 ([budget] auc) by 0." in done.line
    found = json.loads(done.out)
    for key in ("auc", "pauc", "threshold", "false_alarm_rate", "detection_rate", "ram_bytes", "flash_bytes", "latency_ms"):
        assert found[key] is not None, key


@rare
def test_an_autoencoder_that_was_killed_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def fitted(where: str) -> dict[str, object]:
        found, _ = normal_side.sides(inspection.inspect(load(folder)), None)
        detector, floats = anomalies.fitted(Run(Samples(found, Store(tmp_path / where)), tmp_path / where))
        return {**detector.to_json(), "floats": floats.tolist()}

    folder, whole = project(tmp_path / "hums", "autoencoder", ""), loop._epoch
    ran: list[int] = []

    def epoch(module: nn.Module, state: loop._State, *rest: Any) -> float:
        if len(ran) == 2:  # in the third of three epochs, the first time
            ran.append(-1)
            raise Killed
        ran.append(state.epoch)
        return whole(module, state, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "THREADS", 1)
        alone = fitted("alone")
        patch.setattr(loop, "_epoch", epoch)
        with pytest.raises(Killed):
            fitted("killed")
        assert fitted("killed") == alone and ran == [0, 1, -1, 2]


@rare
def test_over_a_limit_of_cost_something_smaller_is_measured(hums: Built[Anomalies], tmp_path: Path) -> None:
    flash = hums.report.flash_bytes
    made = build(project(tmp_path / "hums", options="components = 6", budget=f"flash = {flash - 10}"))
    assert made.missed and re.match(r"\[model\] width = [13] gives flash \d+ B: within all limits", made.advice)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("kmeans", 'normal = "quiet"', "quiet is no label of the training side"),
        ("kmeans", "centroids = 3", "kmeans has no centroids; it has components, "),
        ("gmm", 'components = "many"', "components = many; write it like 8"),
    ],
)
def test_options_that_are_none_are_named(name: str, options: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        build(project(tmp_path / "hums", name, options))


def test_rates_of_known_scores() -> None:
    found = rates(np.array([1, 2, 3, 4, 5]), np.array([False, False, True, False, True]), 3)
    assert (found.auc, found.false_alarms, found.detected, found.accuracy) == (5 / 6, 1 / 3, 0.5, 0.6)
    alone = rates(np.array([1, 2]), np.array([False, False]), 1)
    assert (alone.auc, alone.detected, alone.false_alarms) == (None, None, 0.5)
