"""A target of numbers: where a data set says it, what a window has of it, and a build whose C gives it in the user's unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.draws import rare

pytest.importorskip("jinja2", reason="needs Jinja: pip install 'sandgrain[train]'")
import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.cli import _terminal, app
from sandgrain.project import inspection
from sandgrain.project.build import folds, limits, page, run, stages
from sandgrain.project.build.result import Built
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load
from sandgrain.project.file.schema import Budget
from sandgrain.project.gauged import Gauged
from sandgrain.project.tasks import regression

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["*.csv"]
target_column = "gas"
target_unit = "ppm"
full_scale = 4
rate = 1
window_s = 1
{data}
[data.split]
by = "time"
validation = 0.15
test = 0.3

[[features]]
block = "raw"

[model]
name = "mlp"
width = 16

[train]
epochs = 15
batch = 16

[target]
board = "arduino-nano-33-ble-sense"
compiler = "zig"

[budget]
{budget}
"""


def table(rows: int = 400, seed: int = 0) -> tuple[np.ndarray[Any, Any], str]:
    """(numbers, a table of two sensors and the number 20 a - 5 b + 100 with a little noise)."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-3, 3, (2, rows))
    gas = 20 * a - 5 * b + 100 + rng.normal(0, 0.5, rows)
    lines = [f"{x:.4f},{y:.4f},{n:.3f}" for x, y, n in zip(a, b, gas, strict=True)]
    return np.round(gas, 3), "\n".join(["a,b,gas", *lines]) + "\n"


def project(folder: Path, data: str = "", budget: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "sensors.csv").write_text(table()[1])
    (folder / "sandgrain.toml").write_text(PROJECT.format(data=data, budget=budget))
    return folder


def samples(folder: Path) -> Samples:
    loaded = load(folder)
    return Samples(inspection.inspect(loaded), Store(loaded.work / "build"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built[Any]:
    """A build with limits that are kept."""
    folder = project(tmp_path_factory.mktemp("numbers") / "gas", budget="mae = 9\nrmse = 12\nr2 = 0.9")
    return run.build(load(folder), folder / "out", verified=40)


@rare
def test_a_column_of_numbers_becomes_c_that_gives_them(built: Built[Any], capsys: pytest.CaptureFixture[str]) -> None:
    f = built.figures
    assert built.verdict.identical and built.verdict.compared["host"] == 40
    assert f.found.overall.mae < 0.15 * f.found.overall.baseline and abs(f.mae_float - f.found.overall.mae) < 1
    report = json.loads((built.folder / "report.json").read_text())
    assert report["task"] == "regression" and report["unit"] == "ppm" and report["mae"] == f.found.overall.mae
    assert report["number"] == {
        "function": "gas_number",
        "parts": 100,
        "offset": report["number"]["offset"],
        "unit": "ppm",
        "step": f.step,
    }
    assert {c["name"] for c in report["budget"] if c["kept"]} >= {"R2", "mean abs. error", "RMS error"} and not report["missed"]
    header = (built.folder / "gas.h").read_text()
    assert "in 1/100 ppm: 125 is 1.25 ppm" in header and "static inline int32_t gas_number(int32_t output)" in header
    assert "gas_number" in built.calls and built.folder.joinpath("kernels", "sg_number.h").exists()
    _terminal.lines(built.lines())
    printed = capsys.readouterr().out
    assert "always saying" in printed and "ppm" in printed and max(map(len, printed.splitlines())) <= 100
    assert "mean absolute error" in page.render(built)


@rare
def test_score_measures_other_recordings_by_a_column(built: Built[Any], tmp_path: Path) -> None:
    """Two tables that the model has not seen; one counts 30 more than it should. Some rows have no number."""
    for k, (name, more) in enumerate((("good", 0.0), ("far", 30.0))):
        gas, text = table(120, 10 + k)
        lines = text.splitlines()[1:]
        told = ["" if j % 5 == 4 else f"{g + more:.3f}" for j, g in enumerate(gas)]
        rows = [f"{line.rpartition(',')[0]},{t}" for line, t in zip(lines, told, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,gas", *rows]))
    found = sandgrain.score(built.folder, tmp_path)
    assert isinstance(found, Gauged) and found.errors is not None and found.column == "gas"
    good, far = sorted(found.recordings, key=lambda r: r.mae or 0)
    assert (good.name, far.name, good.windows, far.windows) == ("good.csv", "far.csv", 96, 96)
    overall = built.figures.found.overall
    assert good.mae == pytest.approx(overall.mae, rel=0.5) and far.bias == pytest.approx(-30, abs=2 * overall.mae)
    assert found.worst == far and any("24 rows have no number" in note for note in found.notes)
    page = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["score", str(built.folder), str(tmp_path / "good.csv"), "--json", "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["mae"] == pytest.approx(good.mae) and "<svg" in page.read_text()
    renamed = (tmp_path / "good.csv").read_text().replace("gas", "reference", 1)
    (tmp_path / "other.csv").write_text(renamed)
    assert sandgrain.score(built.folder, tmp_path / "other.csv", target_column="reference").recordings[0].mae == good.mae
    with pytest.raises(UsageError, match=r"has no column 'gas'.*target_column="):
        sandgrain.score(built.folder, tmp_path / "other.csv")
    for wrong in ({"rest": "quiet"}, {"label_column": "note"}, {"normal": "ok"}):
        with pytest.raises(UsageError, match="model gives numbers"):
            sandgrain.score(built.folder, tmp_path / "good.csv", **wrong)


@rare
def test_the_example_prints_the_number_of_its_window(built: Built[Any]) -> None:
    """The window is the one that is answered best."""
    f = built.figures
    assert built.example is not None
    said = float(built.example.strip().removeprefix("number "))
    best = int(np.abs(f.said - f.truth).argmin())
    assert said == pytest.approx(f.said[best]) and f"{f.truth[best]:g} ppm" in (built.folder / "example" / "main.c").read_text()


@rare
def test_folds_give_errors_mean_spread_and_worst(tmp_path: Path) -> None:
    """Each of four devices is left out once; one of them counts 10 more than the others."""
    folder = project(tmp_path / "devices")
    text = (folder / "sandgrain.toml").read_text()
    text = (
        text.replace("rate = 1\n", 'rate = 1\nname = "{group}"\n')
        .replace('by = "time"', 'by = "group"')
        .replace("epochs = 15", "epochs = 6")
    )
    (folder / "sandgrain.toml").write_text(text.replace("validation = 0.15", "validation = 0"))
    (folder / "sensors.csv").unlink()
    for k in range(4):
        gas, rows = table(80, k)
        lines = [
            line.rpartition(",")[0] + f",{g + 40 * (k == 3):.3f}" for line, g in zip(rows.splitlines()[1:], gas, strict=True)
        ]
        (folder / f"d{k}.csv").write_text("\n".join(["a,b,gas", *lines]))
    made = samples(folder)
    crossed = folds.run(stages.Run(made, folder / "out"), regression.TASK, folds.Cut(0))
    found = crossed.folds.to_json()["measures"]
    errors = crossed.folds.values("mean error")
    assert (
        len(errors) == 4
        and found["mean error"]["worst"] == max(errors)
        and found["R2"]["worst"] == min(crossed.folds.values("R2"))
    )
    assert [f.name for f in crossed.folds.folds if f.measures["mean error"] == max(errors)] == ["d3"]
    assert crossed.folds.tables()[1].rows[0][0] == "d3" and "%" not in str(crossed.folds.tables()[0].rows)


def test_a_window_has_the_number_of_its_last_row_the_mean_or_the_largest(tmp_path: Path) -> None:
    gas = table()[0]
    for how, expected in (("last", lambda w: w[-1]), ("mean", np.mean), ("max", np.max)):
        folder = project(tmp_path / how, data=f'target_of = "{how}"\n')
        text = (folder / "sandgrain.toml").read_text().replace("window_s = 1", "window_s = 4\nstride_s = 3")
        (folder / "sandgrain.toml").write_text(text)
        made = samples(folder)
        train = gas[: made.records("train")[0].shape[0]]
        starts = range(0, len(train) - 3, 3)
        assert made.numbers("train") == pytest.approx([expected(train[s : s + 4]) for s in starts])
        assert made.numbers("train").shape == made.features("train")[1].shape


def test_the_column_is_no_channel_and_belongs_to_the_data(tmp_path: Path) -> None:
    one, other = project(tmp_path / "one"), project(tmp_path / "other")
    (other / "sensors.csv").write_text(table()[1].replace("\n", " \n").replace("gas \n", "gas\n", 1)[:-3] + "9\n")
    a, b = samples(one), samples(other)
    assert a.pipeline.signal.shape == (1, 2)
    assert a.found.manifest.sha256 != b.found.manifest.sha256, "another number is another data set"


def test_data_says_how_the_numbers_lie(tmp_path: Path) -> None:
    folder = project(tmp_path / "gas")
    seen = sandgrain.data(folder)
    gas, sides = table()[0], seen.to_json()["numbers"]
    assert set(sides) == {"train", "validation", "test"} and sum(s["windows"] for s in sides.values()) == len(gas)
    assert min(s["least"] for s in sides.values()) == gas.min() and max(s["largest"] for s in sides.values()) == gas.max()


@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_a_row_without_a_number_stays_input_and_its_windows_are_left_out_and_said(how: str, tmp_path: Path) -> None:
    """Every fourth row has none: as -200, an empty cell, nan or NA in turn."""
    folder = project(tmp_path / "gaps", data=f'missing = [-200]\ntarget_of = "{how}"\n')
    gas, text = table()
    lines = text.splitlines()
    for k in range(3, 401, 4):
        lines[k] = f"{lines[k].rpartition(',')[0]},{('-200', '', 'nan', 'NA')[k // 4 % 4]}"
        gas[k - 1] = np.nan
    (folder / "sensors.csv").write_text("\n".join(lines))
    toml = folder / "sandgrain.toml"
    toml.write_text(toml.read_text().replace("window_s = 1", "window_s = 4\nstride_s = 1"))
    made = samples(folder)
    train = made.records("train")[0].shape[0]
    windows = [gas[s : s + 4] for s in range(train - 3)]
    ways = {"last": lambda w: w[-1], "mean": np.nanmean, "max": np.nanmax}
    expected = np.array([ways[how](w) for w in windows])
    known = ~np.isnan(expected)
    assert known.all() == (how != "last"), "of the mean and the largest, three of four rows are enough"
    assert made.numbers("train") == pytest.approx(expected[known])
    assert len(made.features("train")[1]) == made.count("train") == known.sum()
    whole = np.loadtxt(folder / "sensors.csv", delimiter=",", skiprows=1, usecols=(0, 1))
    first = np.array([cut.x for cut in made.windows("train")])
    starts = np.flatnonzero(known)
    assert np.abs(first / 32768 * 4 - np.array([whole[s : s + 4] for s in starts])).max() < 1e-3, "no row is passed over"
    seen = sandgrain.data(folder).to_json()
    left = sum(side["unknown"] for side in seen["numbers"].values())
    assert (left > 0) == (how == "last") and any(f"{left:,} windows are left out" in r for r in seen["remarks"]) == (left > 0)
    assert "100 rows have no number, and stay input" in seen["notes"][0]["text"]


def test_a_data_set_in_which_no_window_has_a_number_says_so(tmp_path: Path) -> None:
    folder = project(tmp_path / "none")
    (folder / "sensors.csv").write_text("a,b,gas\n" + "".join(f"{k % 3},{k % 5},\n" for k in range(50)))
    assert "no window has a number" in sandgrain.data(folder).to_json()["problem"]


def test_a_number_for_each_recording_from_an_index_a_name_or_an_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    wanted = np.round(rng.uniform(-2, 2, 30), 2)
    x = rng.integers(-99, 99, (30, 8, 2))
    head = '[data]\npath = "."\nkind = "motion"\nrate = 8\n{data}\n[[features]]\nblock = "raw"\n'
    index, name, npz = (tmp_path / n for n in ("index", "name", "npz"))
    for folder in (index, name, npz):
        folder.mkdir()
    for k, rows in enumerate(x):
        text = "a,b\n" + "\n".join(f"{p},{q}" for p, q in rows.tolist()) + "\n"
        (index / f"r{k:02}.csv").write_text(text)
        (name / f"{wanted[k]}_{k}.csv").write_text(text)
    (index / "about.txt").write_text("\n".join(["file,weight,who", *(f"r{k:02}.csv,{v},p{k % 5}" for k, v in enumerate(wanted))]))
    np.savez(npz / "all.npz", x=x.astype(np.int16), y=wanted)
    layouts = {
        index: 'files = ["r*.csv"]\nlabels = "about.txt"\ntarget_column = "weight"\ngroup_column = "who"',
        name: 'files = ["*.csv"]\nname = "{target}_{index}"',
        npz: 'files = ["*.npz"]\ntarget_array = "y"',
    }
    for folder, data in layouts.items():
        (folder / "sandgrain.toml").write_text(head.format(data=data))
        made = samples(folder)
        found = np.concatenate([made.numbers(side) for side in ("train", "validation", "test")])
        assert sorted(found) == pytest.approx(sorted(wanted)), folder.name


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('target_of = "first"', "target_of 'first': choose last, mean, max"),
        ('target_array = "y"', "target_column and target_array both say where the number is; take one away"),
        ('columns = ["a", "gas"]', "has column 'gas' among its channels, and it is the number to give; take it out of columns"),
    ],
)
def test_options_that_contradict_themselves_are_refused(tmp_path: Path, data: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        samples(project(tmp_path / "gas", data=data + "\n"))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_limits_of_errors_are_read_in_the_unit_of_the_numbers() -> None:
    found = limits.Quality(mae=2.5, rmse=3.0, r2=0.25, unit="ppm")
    checks = limits.quality(Budget(mae=2.0, rmse=3.5, r2=0.5), found)
    assert [(c.name, c.kept) for c in checks] == [("R2", False), ("mean abs. error", False), ("RMS error", True)]
    assert checks[1].sentence() == "mean abs. error 2.5 ppm exceeds 2 ppm ([budget] mae) by 0.5 ppm"
    assert not limits.quality(Budget(mae=2.0), limits.Quality(accuracy=1.0))[0].kept, "a classifier has no such figure"


def test_a_detector_with_numbers_is_told_to_choose(tmp_path: Path) -> None:
    folder = project(tmp_path / "gas")
    (folder / "sandgrain.toml").write_text(
        (folder / "sandgrain.toml").read_text().replace('"mlp"', '"kmeans"').replace("width = 16\n", "")
    )
    with pytest.raises(UsageError, match=r"kmeans.*target_column"):
        run.build(load(folder), folder / "out")
