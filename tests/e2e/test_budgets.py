"""Budgets fail the build: exit code 3, one line with the limit, the excess and the layer, and nothing written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import sandgrain as api
from sandgrain.base.errors import BudgetError
from sandgrain.bundle import budget
from sandgrain.bundle.budget import Limits
from sandgrain.bundle.report import Report
from sandgrain.device import targets
from sandgrain.device.targets import Board
from tests.conftest import ROOT
from tests.support.command import sandgrain, tree
from tests.support.draws import rare

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return api.compile(DIGITS, target="microbit-v2", out=tmp_path_factory.mktemp("budget") / "out").report


@pytest.mark.parametrize(
    ("option", "limit", "word"),
    [("--max-ram", "300", "of arena"), ("--max-flash", "9K", "of weights"), ("--max-latency", "2ms", "takes")],
)
def test_compile_exits_with_3_and_says_which_limit_by_how_much_and_which_layer(
    option: str, limit: str, word: str, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    done = sandgrain("compile", DIGITS, "-t", "microbit-v2", "-o", "out", option, limit, "--json", cwd=place)
    assert done.code == done.json["exit_code"] == 3 and done.json["kind"] == "BudgetError"
    assert f"({option}) by " in done.line and ": layer " in done.line and word in done.line
    assert tree(place) == {}


@rare
def test_a_limit_that_is_met_exactly_is_kept_and_one_less_is_not(report: Report) -> None:
    board = targets.load("microbit-v2")
    assert report.latency_ms is not None
    budget.check(report, Limits(report.ram_bytes, report.flash_bytes, report.latency_ms), board)
    for limits, excess in (
        (Limits(ram_bytes=report.ram_bytes - 1), "by 1 B"),
        (Limits(flash_bytes=report.flash_bytes - 1), "by 1 B"),
        (Limits(latency_ms=report.latency_ms - 0.25), "by 0.25 ms"),
    ):
        with pytest.raises(BudgetError, match=excess):
            budget.check(report, limits, board)


def test_the_layer_to_blame_is_the_one_that_takes_most(report: Report) -> None:
    board = targets.load("microbit-v2")
    for limits, key in (
        (Limits(ram_bytes=1), "ram_bytes"),
        (Limits(flash_bytes=1), "weight_bytes"),
        (Limits(latency_ms=0.001), "latency_ms"),
    ):
        worst = max(report.layers, key=lambda layer: getattr(layer, key))
        with pytest.raises(BudgetError, match=rf"layer {worst.index} \({worst.op} "):
            budget.check(report, limits, board)


def small(ram: int, flash: int) -> Board:
    return replace(targets.load("microbit-v2"), name="small-board", ram_bytes=ram, flash_bytes=flash)


def test_the_boards_own_memory_is_a_limit(report: Report) -> None:
    with pytest.raises(BudgetError, match=r"exceeds 300 B \(small-board\) by [\d.]+ (B|KiB): layer"):
        budget.check(report, Limits(), small(300, 1 << 20))
    with pytest.raises(BudgetError, match=r"exceeds 12(\.0)? KiB \(small-board\) by [\d.]+ (B|KiB): layer"):
        budget.check(report, Limits(ram_bytes=1 << 20, flash_bytes=1 << 20), small(1 << 20, 12 << 10))
    with pytest.raises(BudgetError, match="--max-ram"):
        budget.check(report, Limits(ram_bytes=100), small(4096, 1 << 20))


@rare
@pytest.mark.parametrize(
    ("ram", "flash", "what"),
    [
        (300, 1 << 20, "RAM"),  # less than any arena of this model: known before anything is built
        (1 << 17, 6 << 10, "flash"),  # less than the weights
        (1 << 17, 12 << 10, "flash"),  # weights fit, code does not
    ],
)
def test_firmware_that_does_not_fit_its_board_exits_with_3(
    ram: int, flash: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, load = small(ram, flash), targets.load
    monkeypatch.setattr(targets, "load", lambda name: board if name == board.name else load(name))
    with pytest.raises(BudgetError, match=rf"^{what} .*small-board") as caught:
        api.compile(DIGITS, target="small-board", out=tmp_path / "out")
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_latency_limit_needs_a_run(tmp_path: Path) -> None:
    done = sandgrain("compile", DIGITS, "-t", "host", "--max-latency", "1s", "-o", "out", cwd=tmp_path)
    assert done.code == 2 and "--max-latency" in done.line
    assert not (tmp_path / "out").exists()


def test_limits_that_are_kept_do_not_fail_the_build(tmp_path: Path) -> None:
    done = sandgrain(
        "compile",
        DIGITS,
        "-t",
        "microbit-v2",
        "--max-ram",
        "8K",
        "--max-flash",
        "0.5M",
        "--max-latency",
        "1s",
        "--json",
        cwd=tmp_path,
    )
    assert done.code == 0 and json.loads(done.out)["ram_bytes"] <= 8192
