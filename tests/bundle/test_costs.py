"""Costs as a function: what was measured once is neither built nor run again, and equals what a full build reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sandgrain.bundle import costs, measure, measured
from sandgrain.bundle.measure import Build
from sandgrain.compiler import passes, pipeline, select
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import emit
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.device.toolchain import DEFAULT
from sandgrain.formats import text
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.kernels import Kernel
from tests.conftest import ROOT
from tests.support.draws import rare

BOARD = targets.load("nucleo-l4r5zi")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own: the measurements of other runs do not count."""
    monkeypatch.setattr(measured, "_folder", lambda: tmp_path)
    measured._FOUND.clear()
    costs._MEMO.clear()
    yield
    measured._FOUND.clear()


def forget() -> None:
    """As in another process: only what lies on disk is known."""
    measured._FOUND.clear()
    costs._MEMO.clear()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is built and emulated from here on."""
    calls: list[str] = []
    original, opened = Build.link, costs.open_emulator
    monkeypatch.setattr(Build, "link", lambda *a, **k: (calls.append("build"), original(*a, **k))[1])
    monkeypatch.setattr(costs, "open_emulator", lambda *a: (calls.append("run"), opened(*a))[1])
    return calls


def digits() -> Graph:
    return passes.optimize(text.read_any((ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes(), "digits"))


def dense(widths: tuple[int, ...], seed: int = 0) -> Graph:
    """Fully connected layers of these widths."""
    rng = np.random.default_rng(seed)
    tensors = [Tensor("x", (1, widths[0]), "int8", per_tensor(0.05, 3))]
    nodes = []
    for k, (depth, units) in enumerate(pairwise(widths)):
        data, bias = rng.integers(-127, 128, (units, depth)).astype(np.int8), rng.integers(-99, 99, units).astype(np.int32)
        at = len(tensors)
        tensors += [
            Tensor(f"w{k}", data.shape, "int8", Quantization((0.01,), (0,), None), data),
            Tensor(f"b{k}", bias.shape, "int32", Quantization((0.0005,), (0,), None), bias),
            Tensor(f"t{k}", (1, units), "int8", per_tensor(0.05, 3)),
        ]
        nodes.append(Node("fully_connected", f"n{k}", (at - 1, at, at + 1), (at + 2,), attrs(activation="none")))
    return Graph("dense", tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,))


def full(graph: Graph, choice: Choice | None = None) -> measure.Report:
    return measure.measure(
        Build(emit(graph, graph, BOARD, Options("m"), choice or Choice()), BOARD, DEFAULT, graph.name), run=True
    )


@rare
@pytest.mark.parametrize("shared", [False, True])
def test_a_second_call_builds_and_runs_nothing_and_equals_a_full_build(shared: bool, built: list[str]) -> None:
    graph = digits()
    choice = Choice(shared=frozenset(n.outputs[0] for n in graph.nodes) if shared else frozenset())
    first = costs.cost(graph, BOARD, choice=choice)
    assert built == ["build", "run"]
    built.clear()
    forget()
    again = costs.cost(digits(), BOARD, choice=choice)
    assert built == [] and again.error == 0 and again.report == first.report
    report = full(graph, choice)
    named = replace(again.report, name=report.name, build_id=report.build_id)
    assert named == report and again.fits


def test_other_weights_in_the_same_form_are_known() -> None:
    graph = dense((16, 12, 8))
    first = costs.cost(graph, BOARD)
    other = costs.cost(dense((16, 12, 8), seed=1), BOARD)
    assert other.error == 0
    for figure in ("ram_bytes", "flash_bytes", "instructions", "cycles"):
        assert getattr(other.report, figure) == getattr(first.report, figure)


@rare
def test_known_layers_in_a_new_order_are_put_together_within_the_stated_error(built: list[str]) -> None:
    for widths in ((16, 24, 24, 8), (16, 8, 8, 8)):
        costs.cost(dense(widths), BOARD)
    built.clear()
    for widths in ((16, 24, 24, 24, 8), (16, 8, 8, 8, 8, 8), (16, 24, 8)):
        found = costs.cost(dense(widths), BOARD)
        assert built == [] and 0 < found.error < 100
        built_whole = full(dense(widths))
        built.clear()
        assert found.report.instructions is not None and built_whole.instructions is not None
        assert abs(found.report.ram_bytes - built_whole.ram_bytes) <= found.error
        assert abs(found.report.flash_bytes - built_whole.flash_bytes) <= found.error
        assert found.report.instructions == pytest.approx(built_whole.instructions, rel=0.02)


@rare
def test_what_does_not_fit_is_an_answer() -> None:
    small = replace(BOARD, name="small", ram_bytes=256, flash_bytes=4096)
    found = costs.cost(digits(), small)
    assert not found.fits and found.report.ram_bytes > 256 and found.report.flash_bytes > 4096


def test_the_host_has_planned_figures_only() -> None:
    found = costs.cost(digits(), targets.load("host"))
    assert found.fits and found.report.instructions is None and found.report.arena_bytes > 0


def other_weights(graph: Graph, seed: int = 0) -> Graph:
    """The same form: every int8 constant's elements in another order."""
    rng = np.random.default_rng(seed)
    shuffled = tuple(
        replace(t, data=rng.permutation(t.data.reshape(-1)).reshape(t.shape)) if t.data is not None and t.dtype == "int8" else t
        for t in graph.tensors
    )
    return replace(graph, tensors=shuffled)


@rare
def test_a_new_graph_of_known_layers_is_neither_proved_nor_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read anew from its file: other objects and arrays, the same content."""
    known = costs.cost(digits(), BOARD)
    asked: list[str] = []
    fit = Kernel.fit
    monkeypatch.setattr(Kernel, "fit", lambda self, *a: (asked.append(self.name), fit(self, *a))[1])
    monkeypatch.setattr(pipeline, "generate", lambda *_: pytest.fail("the C was written"))
    monkeypatch.setattr(ctext, "table", lambda *_: pytest.fail("a table was written"))
    assert costs.cost(digits(), BOARD) == known
    assert asked == []
    costs.cost(other_weights(digits()), BOARD)
    assert asked != []  # proofs may read weights


@rare
def test_answers_are_those_of_the_slow_path() -> None:
    """Of plans whose proofs were made anew for each graph, and of C that was written out."""
    costs.cost(digits(), BOARD)
    for seed in range(3):
        graph = other_weights(digits(), seed)
        quick = costs.cost(graph, BOARD)
        select._FITS.clear()
        whole = Build(emit(graph, graph, BOARD, Options(costs.NAME), Choice()), BOARD, DEFAULT, graph.name)
        assert costs._cost(whole) == replace(quick, report=replace(quick.report, build_id=whole.compiled.source.build_id))
