"""A task is one file with its template blocks: a third one that is put into the folder is built, shown and told as the others."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.draws import rare

pytest.importorskip("jinja2", reason="needs Jinja: pip install 'sandgrain[train]'")
from sandgrain.base.errors import BudgetError
from sandgrain.bundle import store
from sandgrain.cli import _terminal
from sandgrain.project import tasks
from sandgrain.project.build import page, run
from sandgrain.project.file.load import load
from sandgrain.project.file.schema import Data, Model, Project

EXTRA = Path(__file__).parent / "tasks_extra"

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["levels.npz"]
rate = 64

[data.split]
validation = 0.1
test = 0.3

[[features]]
block = "raw"

[model]
name = "least_squares"

[target]
board = "arduino-nano-33-ble-sense"

[budget]
flash = "{flash}"
"""


def project(folder: Path, flash: str = "64K") -> Path:
    """Windows of a level with noise, and the level as their label."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    x = (2000 * y[:, np.newaxis] + rng.normal(0, 600, (len(y), 16))).astype(np.int16)
    np.savez(folder / "levels.npz", x=x[..., np.newaxis], y=y, labels=np.array(["0", "1", "2", "3"]))
    (folder / "sandgrain.toml").write_text(PROJECT.format(flash=flash))
    return folder


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of tasks with one file more."""
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(EXTRA)])
    yield
    sys.modules.pop("sandgrain.project.tasks.line", None)


def named(model: str) -> str:
    return tasks.task_of(Project(data=Data(kind="motion"), model=Model(name=model))).name


def test_the_model_says_which_task_it_is() -> None:
    assert [t.name for t in tasks.tasks()] == ["anomalies", "classes", "regression"]
    assert (named("kmeans"), named("dscnn"), named("mine:Net")) == ("anomalies", "classes", "classes")


def test_every_task_brings_its_templates() -> None:
    for task in tasks.tasks():
        assert {p.name for p in task.folder.glob(f"{task.name}.*.j2")} == {f"{task.name}.c.j2", f"{task.name}.html.j2"}


@rare
@pytest.mark.usefixtures("planted")
def test_a_third_task_is_found_and_built_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert named("least_squares") == "line" and named("dscnn") == "classes"
    folder = project(tmp_path / "levels")
    built = run.build(load(folder), folder / "out")
    assert built.verdict.identical and built.verdict.compared["emulator"] == built.verdict.samples == built.windows["test"]
    assert built.figures.int8 < 0.5 * built.figures.guess and not built.missed
    assert not store.load_bundle(folder / "out").edited
    assert [s.name for s in built.stages] == [
        "data",
        "features",
        "limits, untrained",
        "fit",
        "compile and measure",
        "verify",
        "example",
    ]
    assert built.example is not None and built.example.startswith("output ")
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["task"] == "line" and report["mean_absolute_error"] == built.figures.int8 and report["ram_bytes"] > 0
    assert "mean absolute error" in page.render(built) and "Cost of each layer" in page.render(built)
    _terminal.lines(built.lines())
    printed = capsys.readouterr().out
    assert "levels: least_squares" in printed and "worst-case stack" in printed and "levels_" in printed
    again = run.build(load(folder), folder / "out")
    assert all(s.kept for s in again.stages if s.name not in ("data", "fit")) and again.to_json() == built.to_json()


@rare
@pytest.mark.usefixtures("planted")
def test_a_third_task_is_advised_when_a_limit_is_missed(tmp_path: Path) -> None:
    folder = project(tmp_path / "levels", flash="100")
    with pytest.raises(BudgetError, match=r"^before training: flash .* gives .*: still over, and the nearest of 3 changes"):
        run.build(load(folder), folder / "out")
