"""Boards and settings side by side: shared/FRICTION.md, "To compare and to teach"."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.api import compare as api
from tests.conftest import ROOT
from tests.support.command import sandgrain as command
from tests.support.draws import rare
from tests.support.sensor_project import project
from tests.users.test_cases_int8 import RAIN, weather

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"


@pytest.fixture(scope="module")
def found() -> sandgrain.CompareReport:
    """A float model on two cores, in two ways."""
    return sandgrain.compare(RAIN, ["cortex-m4", "host"], methods=["minmax", "mse"], calibration=weather(400))


def test_compare_has_a_row_for_each_combination(found: sandgrain.CompareReport) -> None:
    settings = [(row.setting.target, row.setting.method) for row in found.settings]
    assert settings == [("cortex-m4", "minmax"), ("host", "minmax"), ("cortex-m4", "mse"), ("host", "mse")]
    emulated, host = found.settings[:2]
    assert emulated.latency_ms is not None and emulated.latency_ms > 0 and emulated.energy_uj is not None and emulated.fits
    assert host.latency_ms is None and host.ram_bytes is not None
    assert emulated.measure == "accuracy" and emulated.float_value == 1.0
    assert emulated.low is not None and emulated.value is not None and emulated.high is not None
    assert 0 <= emulated.low < emulated.value < emulated.high <= 1


@rare
def test_compare_agrees_with_compile(found: sandgrain.CompareReport) -> None:
    made = sandgrain.compile(RAIN, target="cortex-m4", calibration=weather(400))
    row = found.settings[0]
    assert row.latency_ms == made.report.latency_ms and row.flash_bytes == pytest.approx(made.report.flash_bytes, abs=64)
    assert made.compared is not None and row.value == made.compared.int8_value


def test_compare_prints_one_table_and_gives_its_rows(found: sandgrain.CompareReport) -> None:
    text = str(found)
    assert "4 combinations" in text and "method" in text and "95 %" in text and "optimize" not in text
    assert max(map(len, text.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["method"] for row in rows] == ["minmax", "minmax", "mse", "mse"] and float(rows[0]["latency_ms"]) > 0
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame) and list(frame["target"]) == ["cortex-m4", "host"] * 2


def test_compare_draws_a_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'sandgrain[data]'")
    for name, head in (("a.svg", b"<svg"), ("a.png", b"\x89PNG")):
        made = sandgrain.compare(DIGITS, "host", plot=tmp_path / name)
        assert made.plot == tmp_path / name and (tmp_path / name).read_bytes().startswith(head)


def test_a_combination_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, board: Any, *rest: Any) -> Any:
        raise sandgrain.ToolchainError("no linker; use --compiler zig")

    monkeypatch.setattr(api.costs, "cost", broken)
    (row,) = sandgrain.compare(DIGITS, "host").settings
    assert row.reason == "no linker; use compiler='zig'" and row.ram_bytes is None
    assert "host, balanced: no linker" in str(sandgrain.compare(DIGITS, "host"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"targets": "cortex-m99"}, "cortex-m99"),
        ({"targets": []}, "empty list"),
        ({"optimize": "fast"}, "optimize='fast' is not a goal"),
        ({"methods": "best"}, "methods='best' is not a way"),
        ({"methods": "mse"}, "is int8 already"),
        ({"widths": [8]}, "for projects"),
        ({"seeds": [0, 1]}, "for projects"),
        ({"plot": "x.pdf"}, "plot='x.pdf'"),
    ],
)
def test_what_no_combination_can_use_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(sandgrain.UsageError) as caught:
        sandgrain.compare(DIGITS, **{"targets": "host", **options})
    assert said in str(caught.value) and "--" not in str(caught.value).replace("sandgrain targets --new", "")


def test_the_command_prints_a_table_csv_or_json(tmp_path: Path) -> None:
    done = command("compare", DIGITS, "-t", "host,host", "--csv", cwd=tmp_path)
    assert [row["target"] for row in csv.DictReader(io.StringIO(done.out))] == ["host"]
    done = command("compare", DIGITS, "-t", "host", "--json", cwd=tmp_path)
    assert json.loads(done.out)["rows"][0]["target"] == "host"
    done = command("compare", DIGITS, "-t", "host", "--seeds", "a", cwd=tmp_path)
    assert done.code == 2 and "--seeds 'a': give whole numbers" in done.err


@pytest.mark.parametrize("words", [("inspect", DIGITS), ("targets",), ("ops",), ("ops", "relu", "--core", "cortex-m4")])
def test_tables_come_as_csv(words: tuple[Any, ...], tmp_path: Path) -> None:
    done = command(*words, "--csv", cwd=tmp_path)
    rows = list(csv.reader(io.StringIO(done.out)))
    assert done.code == 0 and len(rows) > 2 and {len(row) for row in rows} == {len(rows[0])}


def test_an_interval_of_a_share_is_wilsons() -> None:
    """Two figures of Wilson's interval that textbooks give: 0 of 10, and 81 of 263 (Newcombe 1998)."""
    from sandgrain.base.intervals import of_mean, of_share

    assert of_share(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert of_share(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert of_mean([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)


def test_a_project_is_built_for_each_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a build gives is put into rows: the mean over seeds and its interval; each setting reaches the build."""
    pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    from sandgrain.project.build import run

    (tmp_path / "sandgrain.toml").write_text((ROOT / "sandgrain" / "demo" / "sandgrain.toml").read_text("utf-8"))
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "digits.npz", x=np.zeros((4, 8, 8, 1), np.uint8), y=np.zeros(4, np.uint8))
    seen: list[tuple[str, int, int]] = []
    report = sandgrain.compile(DIGITS, target="host", measure=False).report

    class Built:
        def __init__(self, seed: int) -> None:
            self.seed, self.report = seed, report

        def to_json(self) -> dict[str, Any]:
            return {"accuracy_int8_host": 0.9 + 0.01 * self.seed, "accuracy_float": 0.95, "windows": {"test": 100}}

    def build(loaded: Any, out: Path, *, seed: int, **how: Any) -> Any:
        if loaded.project.model.width == 7:
            raise sandgrain.BudgetError("too wide")
        seen.append((loaded.project.target.board, loaded.project.model.width, seed))
        return Built(seed)

    monkeypatch.setattr(run, "build", build)
    small, wide = sandgrain.compare(tmp_path, ["cortex-m4"], widths=[4, 7], seeds=[0, 1, 2]).settings
    assert seen == [("cortex-m4", 4, 0), ("cortex-m4", 4, 1), ("cortex-m4", 4, 2)]
    assert small.value == pytest.approx(0.91) and small.low is not None and small.low < 0.9 < 0.92 < (small.high or 0)
    assert wide.reason == "too wide" and wide.setting.width == 7


@pytest.mark.slow  # it trains four networks
def test_a_project_is_trained_for_every_width_and_seed(tmp_path: Path) -> None:
    waves = project(tmp_path / "waves", epochs="2")
    done = command(
        "compare", waves, "--targets", "cortex-m4,microbit-v2", "--widths", "2,4", "--seeds", "0,1", "--plot", "rows.svg", "--json",
        cwd=tmp_path, timeout=900,
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = done.json["rows"]
    assert [(r["target"], r["width"], r["seeds"]) for r in rows] == [
        (target, width, [0, 1]) for width in (2, 4) for target in ("cortex-m4", "microbit-v2")
    ]
    for row in rows:
        assert row["reason"] == "" and row["fits"] and row["latency_ms"] > 0 and row["ram_bytes"] > 0
        assert row["measure"] == "accuracy" and 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    small, large = (next(r for r in rows if r["target"] == "cortex-m4" and r["width"] == w) for w in (2, 4))
    assert small["flash_bytes"] < large["flash_bytes"] and (tmp_path / "rows.svg").read_bytes().startswith(b"<svg")
    again = command("compare", waves, "--targets", "cortex-m4", "--widths", "2", "--seeds", "0,1", "--json", cwd=tmp_path)
    assert again.json["rows"] == rows[:1], "what was trained is not trained again"


def test_an_interval_over_trainings_stays_within_what_a_share_can_be() -> None:
    assert api._interval([0.9167, 1.0], 24) == (pytest.approx(0.429, abs=0.01), 1.0)
    low, high = api._interval([1.0, 1.0], 24)  # two trainings that agree are no surer than 24 windows
    assert low == pytest.approx(0.862, abs=0.01) and high == 1.0
    assert api._interval([0.4, 0.5], 0) == (0.0, 1.0) and api._interval([0.7], 0) == (None, None)
    assert api._interval([0.5], 100) == pytest.approx((0.404, 0.596), abs=0.001)
