"""FRICTION: limits that the architecture decides are checked before training, in a plain sentence; units as people read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandgrain.base.errors import BudgetError
from sandgrain.base.scratch import scratch
from sandgrain.base.text import duration, energy, number, percent
from sandgrain.bundle.make import CompileRequest, make
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.project.build import limits, network, run
from sandgrain.project.file.load import load
from sandgrain.project.file.schema import Budget
from tests.support import anomaly_project
from tests.support.draws import rare
from tests.support.sensor_project import project

ROOMY = {"ram": '"64K"', "flash": '"256K"', "latency": '"1s"'}


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is a failure of the test."""

    def trained(*_: Any) -> None:
        raise AssertionError("it trained")

    monkeypatch.setattr(network, "trained", trained)


def refused(folder: Path) -> str:
    with pytest.raises(BudgetError) as caught:
        run.build(load(folder), folder / "out")
    assert not (folder / "out").exists()
    return str(caught.value)


@rare
@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("key", "limit", "told"),
    [
        ("latency", '"0.1ms"', "latency 0.7"),
        ("flash", '"2K"', "flash "),
        pytest.param("ram", '"600"', "RAM ", marks=pytest.mark.slow),  # other kernels and strips are tried before it is told
    ],
)
def test_a_limit_that_no_training_can_keep_is_told_before_it(key: str, limit: str, told: str, tmp_path: Path) -> None:
    sentence = refused(project(tmp_path / "waves", **{**ROOMY, key: limit}))
    assert sentence.startswith(f"before training: {told}") and f"([budget] {key}) by " in sentence
    assert sentence.endswith("nothing was trained") and " gives " in sentence and "measured, untrained" in sentence
    assert "still over" in sentence or "within all limits" in sentence


@rare
@pytest.mark.usefixtures("no_training")
def test_the_second_time_the_sentence_is_there_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path / "waves", **{**ROOMY, "latency": '"0.1ms"'})
    first = refused(folder)
    monkeypatch.setattr("sandgrain.project.build.advice.costs.cost", lambda *_: pytest.fail("measured again"))
    assert refused(folder) == first


@rare
def test_a_detector_is_checked_before_it_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandgrain.project.tasks.anomalies._fit", lambda *_: pytest.fail("it was fitted"))
    sentence = refused(anomaly_project.project(tmp_path / "hums", budget="flash = 300"))
    assert sentence.startswith("before training: flash ") and "nothing was trained" in sentence


@rare
def test_the_boards_memory_counts_where_the_budget_asks_for_more() -> None:
    board, report = targets.load("arduino-nano-33-ble-sense"), _features(stride=1600).report
    found = {c.name: c for c in limits.costs(Budget(ram="1M", flash="2K"), board, report)}
    assert (found["RAM"].limit, found["RAM"].whose) == (board.usable_ram, board.name)
    assert (found["flash"].limit, found["flash"].whose) == (2048, "[budget] flash")


# --- a streamed result beside the whole window -----------------------------------------------------------------------------


def _features(stride: int, **options: Any) -> Any:
    signal = Signal("audio", (8000, 1), 8000)
    pipeline = Pipeline(signal, parse([{"block": "log-mel", "bands": 8, "window_ms": 32, "hop_ms": 20}]))
    front, board = FrontEnd(pipeline, Normalization((0.0,), (1.0,)), stride), targets.load("arduino-nano-33-ble-sense")
    with scratch() as work:
        request = CompileRequest(title="f", out=work / "out", board=board, options=Options("f", **options), front=front)
        return make(request, None, None)


@rare
@pytest.mark.parametrize("arena", ["static", "caller"])
def test_a_result_of_a_stream_costs_what_is_new_since_the_last(arena: str) -> None:
    report = _features(1600, arena=arena).report
    assert report.result_samples == 1600 and report.latency_ms is not None and report.result_ms is not None
    assert 0.15 * report.latency_ms < report.result_ms < 0.3 * report.latency_ms  # 10 of 49 frames


# --- units -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (energy(3340.0), "3.34 mJ"), (energy(214.3), "214 uJ"), (energy(999.7), "1 mJ"), (energy(0.04), "40 nJ"),
        (energy(2.5e6), "2.5 J"), (energy(0.0), "0 uJ"), (duration(10.29), "10.3 ms"), (duration(0.7964), "0.796 ms"),
        (duration(0.012), "12 us"), (duration(34021.0), "34 s"), (duration(999.9), "1 s"), (percent(1.0), "100 %"),
        (percent(0.999), "100 %"), (percent(0.0123), "1.2 %"), (percent(0.0), "0 %"), (percent(0.00001), "0.001 %"),
        (number(1234567.0), "1,230,000"), (number(0.01234), "0.0123"), (number(-34.0), "-34"),
    ],
)  # fmt: skip
def test_units_are_as_people_read_them(shown: str, told: str) -> None:
    assert shown == told
