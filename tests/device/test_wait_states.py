"""Wait states: a board's factor reaches every figure that follows from cycles, with its source and its error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandgrain.bundle import measure
from sandgrain.bundle.report import LayerReport, Report
from sandgrain.cli import _terminal
from sandgrain.device import targets
from sandgrain.device.cost.cycles import Cost
from sandgrain.device.run.trace import Trace

SLOWED = [name for name in targets.boards() if targets.load(name).wait_states]


def planned(board: targets.Board) -> Report:
    """A report of two layers, before anything ran."""
    layers = tuple(LayerReport(k, "relu", f"r{k}", "clamp_s8", "1 -> 1", 0, 0, 4) for k in range(2))
    return Report(
        model="m", name="m", target=board.name, core=board.core.name, compiler="zig", build_id="", macs=0, arena_bytes=8,
        static_bytes=0, stack_bytes=None, stack_bound_bytes=16, ram_bytes=24, weight_bytes=0, code_bytes=100, flash_bytes=100,
        instructions=None, cycles=None, latency_ms=None, energy_uj=None, layers=layers,
    )  # fmt: skip


def emulated(board: targets.Board) -> Report:
    trace = Trace([], {0: Cost(70, 100.0), 1: Cost(200, 300.0)}, Cost(10, 20.0), {}, 16)
    return measure.with_trace(planned(board), trace, board)


def test_the_factor_is_in_cycles_time_and_energy() -> None:
    board = targets.load("nucleo-l4r5zi")
    assert board.wait_states is not None
    plain, slowed = emulated(replace(board, wait_states=None)), emulated(board)
    factor = board.wait_states.factor
    assert factor > 1 and plain.cycles == plain.cycles_zero_wait == slowed.cycles_zero_wait == 420
    pairs: list[tuple[Any, Any]] = [(plain, slowed), *zip(plain.layers, slowed.layers, strict=True)]
    for before, after in pairs:
        assert before.instructions == after.instructions
        for figure in ("cycles", "latency_ms", "energy_uj"):
            assert getattr(after, figure) == pytest.approx(factor * getattr(before, figure)), figure


def test_the_error_stands_beside_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    report = emulated(targets.load("nucleo-l4r5zi"))
    assert report.cycles_error == report.to_json()["cycles_error"] == 0.20
    assert "x 1.31 for memory, +-20 % (measured: four CMSIS-NN models on this board" in report.sources["cycles"]
    _terminal.report(report, layers=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "cycles 550 estimated, +-20 %; 420 without wait states" in shown


def test_a_board_without_a_factor_says_that_nobody_checked(capsys: pytest.CaptureFixture[str]) -> None:
    report = emulated(targets.load("portenta-h7"))
    assert report.cycles_error is None and report.cycles == report.cycles_zero_wait
    assert "not checked" in report.sources["cycles"]
    _terminal.report(report, layers=False)
    assert "no wait states; not checked on this board" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", SLOWED)
def test_a_factor_has_an_error_and_a_source(name: str) -> None:
    waits = targets.load(name).wait_states
    assert waits is not None
    assert 1 <= waits.factor < 2 and 0 < waits.error < 1
    assert waits.source.startswith(("measured: ", "derived: "))


def test_every_factor_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "explanation" / "cycles.md").read_text("utf-8")
    for name in SLOWED:
        waits = targets.load(name).wait_states
        assert waits is not None
        assert f"| {name} | {waits.factor:.2f} | {100 * waits.error:.0f} % |" in text, name
    for name in targets.boards():
        assert name in text, name


def test_a_generic_board_has_no_wait_states() -> None:
    assert all(targets.load(name).wait_states is None for name in targets.cores())


def test_the_factors_are_the_means_of_what_was_measured() -> None:
    """Cycles on silicon (clock / inferences a second, MLPerf Tiny v1.0) over the zero-wait estimate of the same kernels."""
    estimate = {"kws": 9.20e6, "ic": 36.3e6, "vww": 29.1e6, "ad": 0.72e6}
    rates = {
        "nucleo-l4r5zi": {"kws": 9.997, "ic": 2.566, "vww": 3.347, "ad": 116.207},
        "nrf5340-dk": {"kws": 13.143, "ic": 3.163, "vww": 4.310, "ad": 159.579},
    }
    for name, measured in rates.items():
        board = targets.load(name)
        assert board.wait_states is not None
        ratios = [board.clock_hz / rate / estimate[model] for model, rate in measured.items()]
        mean = (ratios[0] * ratios[1] * ratios[2] * ratios[3]) ** 0.25
        assert board.wait_states.factor == pytest.approx(mean, abs=0.01)
        assert all(abs(r / board.wait_states.factor - 1) <= board.wait_states.error for r in ratios), ratios
