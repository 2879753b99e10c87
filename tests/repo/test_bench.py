"""The benchmark's own arithmetic: what a bar means, and that its results file repeats byte for byte."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sandgrain.graph import interpret
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import Quantization

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a file of bench/, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(str(BENCH))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in ("bars", "costs", "felt", "jobs", "page", "peers", "results", "run", "torch_models", "torch_peers"):
        sys.modules.pop(name, None)


def row(model: str, instructions: int, **changes: Any) -> dict[str, Any]:
    figures = {"arena_bytes": 1, "weight_bytes": 1, "code_bytes": 1, "layers": [["conv_2d", "1 -> 1", "k", 1, 1]]}
    return (
        {"core": "cortex-m4", "model": model, "compiler": "zig", "optimize": "speed", "instructions": instructions}
        | figures
        | changes
    )


def test_a_figure_over_its_limit_misses_by_the_part_above(bench: Any) -> None:
    check = bench("bars").Check("x", 120, 100, 80)
    assert check.verdict(check.bar) == "missed by 20.0 %"
    assert check.verdict(check.goal) == "missed by 50.0 %"
    assert check.verdict(120) == "met"
    assert check.verdict(None) == "-"


def test_a_ratio_under_its_limit_misses_by_what_would_have_to_be_added(bench: Any) -> None:
    check = bench("bars").Check("x", 1.5, 1.8, 2.4, at_least=True)
    assert check.verdict(check.bar) == "missed by 20.0 %"
    assert check.verdict(1.5) == "met"


def test_the_better_compiler_counts_for_speed_and_brings_its_own_arena(bench: Any) -> None:
    rows = [
        row("kws_ref_model", 200, arena_bytes=10),
        row("kws_ref_model", 100, arena_bytes=20, compiler="gcc"),
        row("kws_ref_model", 50, arena_bytes=5, optimize="balanced"),
    ]
    found = {c.what: c.value for c in bench("bars").checks(rows)}
    assert found["kws_ref_model instructions, cortex-m4"] == 100
    assert found["kws_ref_model arena bytes"] == 20


def test_the_mean_over_models_is_geometric_and_needs_all_of_them(bench: Any) -> None:
    bars = bench("bars")
    models = list(bars.BARS["instructions"]["cortex-m4"])
    factors = (1, 2, 4, 8)
    rows = [row(m, bars.tflm(m, "cortex-m4") / f) for m, f in zip(models, factors, strict=True)]
    mean = [c.value for c in bars.checks(rows) if "geometric" in c.what]
    assert mean == [pytest.approx(8**0.5)]
    assert not [c for c in bars.checks(rows[1:]) if "geometric" in c.what]


def test_a_ram_limit_is_judged_against_the_same_compiler_without_it(bench: Any) -> None:
    rows = [row("vww_96_int8", 100), row("vww_96_int8", 10, compiler="gcc")]
    (check,) = [c for c in bench("bars").checks(rows, max_ram=row("vww_96_int8", 140)) if "KiB of RAM" in c.what]
    assert check.value == pytest.approx(1.4)
    assert check.verdict(check.bar) == "met"


def test_every_bar_names_a_model_with_an_anchor(bench: Any) -> None:
    bars, jobs = bench("bars"), bench("jobs")
    named = {m for core in bars.BARS["instructions"].values() for m in core} | set(bars.BARS["arena_bytes"])
    assert named <= set(jobs.ANCHORS)
    assert all(limit.get("goal", 0) <= limit["bar"] for core in bars.BARS["instructions"].values() for limit in core.values())


def test_results_are_the_same_bytes_in_whatever_order_rows_come(bench: Any) -> None:
    results = bench("results")
    rows = [row("a", 1), row("a", 1, compiler="gcc"), row("b", 1, core="cortex-m0plus")]
    text = results.text(rows, None, [], [])
    assert text == results.text(rows[::-1], None, [], [])
    loaded = json.loads(text)
    assert [r["core"] for r in loaded["rows"]] == ["cortex-m0plus", "cortex-m4", "cortex-m4"]
    assert dict(zip(loaded["layer_fields"], loaded["rows"][0]["layers"][0], strict=True))["op"] == "conv_2d"


def test_the_page_shows_the_figures_of_the_results_file(bench: Any) -> None:
    page = bench("page")
    if not bench("results").PATH.exists():
        pytest.skip("no results yet; a whole run of `make bench` writes them")
    assert page.PATH.read_text("utf-8").partition(page.HEADING)[2] == page.section(page.load()), "run `make bench`"


def test_the_peers_are_an_extra_and_nothing_else_asks_for_them(bench: Any) -> None:
    project = tomllib.loads((BENCH.parent / "pyproject.toml").read_text())["project"]
    asked = " ".join(project["optional-dependencies"]["bench"])
    others = " ".join(
        project["dependencies"] + [d for k, v in project["optional-dependencies"].items() if k != "bench" for d in v]
    )
    for peer in bench("peers").PEERS:
        assert peer in asked
        assert peer not in others


def test_a_model_narrowed_for_a_peer_computes_the_same_before_its_softmax(bench: Any) -> None:
    q = Quantization((0.5,), (3,))
    weights = np.arange(24, dtype=np.int8).reshape(3, 8) - 12
    tensors = (
        Tensor("x", (1, 2, 2, 2), "int8", q),
        Tensor("w", (3, 8), "int8", Quantization((0.25,), (0,)), weights),
        Tensor("y", (1, 3), "int8", Quantization((2.0,), (-5,))),
        Tensor("z", (1, 3), "int8", Quantization((1 / 256,), (-128,))),
    )
    dense = Node("fully_connected", "dense", (0, 1, -1), (2,), attrs(activation="none", keep_num_dims=False))
    graph = Graph("net", tensors, (dense, Node("softmax", "softmax", (2,), (3,), attrs(beta=1.0))), (0,), (3,))
    narrow = bench("peers").narrowed(graph)
    assert [n.op for n in narrow.nodes] == ["reshape", "fully_connected"]
    x = np.arange(8, dtype=np.int8).reshape(1, 2, 2, 2)
    before = interpret.trace(graph, [x])[graph.nodes[0].outputs[0]]
    assert before is not None
    assert len(set(before.ravel().tolist())) > 1
    np.testing.assert_array_equal(interpret.run(narrow, [x])[0], before)


def module_row(who: str, variant: str, instructions: int | None, **changes: Any) -> dict[str, Any]:
    figures = {"instructions": instructions, "ram_bytes": 100, "code_bytes": 100, "weight_bytes": 100, "stack_bytes": 100}
    named = {"model": "net", "compiler": "zig", "optimize": "speed", "who": who, "variant": variant}
    return named | figures | {"snr_db": 30.0, "note": ""} | changes


def test_a_module_is_held_against_the_least_of_each_figure_by_itself(bench: Any) -> None:
    peers = bench("torch_peers")
    rows = [
        module_row("bakenn", "slow and small", 900, code_bytes=80),
        module_row("bakenn", "fast and large", 700, code_bytes=200),
        module_row(peers.OURS, "", 500),
    ]
    ((ours, fastest, least),) = peers.pairs(rows)
    assert (ours["who"], least["instructions"], least["code_bytes"]) == (peers.OURS, 700, 80)
    assert peers.verdict(ours, least) == "behind on code 100 to 80 (slow and small), +25.0 %"
    assert peers.verdict(ours, fastest) == "ahead on each"
    assert peers.verdict(ours | {"code_bytes": 201}, fastest) == "behind on code 201 to 200 (fast and large), +0.5 %"
    assert peers.verdict(ours | {"instructions": 701}, least).startswith("behind on instructions 701 to 700 (fast and large)")


def test_the_bar_for_modules_is_the_worst_of_their_figures_at_size(bench: Any) -> None:
    rows = [
        module_row(who, variant, instructions, optimize=goal, **changes)
        for goal in ("speed", "size")
        for who, variant, instructions, changes in (
            ("bakenn", "slow and small", 900, {"weight_bytes": 80}),
            (bench("torch_peers").OURS, "", 450, {"weight_bytes": 84}),
        )
    ]
    (check,) = bench("bars").checks([], modules=rows)
    assert check.what == "net of PyTorch, zig, size, over BakeNN's least"
    assert check.value == pytest.approx(1.05) and check.verdict(check.bar) == "missed by 5.0 %"


def test_what_a_peer_refuses_is_a_row_with_its_reason_and_no_lead(bench: Any) -> None:
    peers = bench("torch_peers")
    refused = module_row("bakenn", "", None, note="prelu: unsupported") | dict.fromkeys(peers.FIGURES) | {"snr_db": None}
    rows = [module_row(peers.OURS, "", 500), refused]
    ((ours, *theirs),) = peers.pairs(rows)
    assert [peers.verdict(ours, one) for one in theirs] == ["BakeNN refuses it: prelu: unsupported"] * 2
    data = json.loads(bench("results").text([], None, [], [], None, rows))
    assert data["torch_peers"] == rows
    (line,) = [line for line in bench("page").section(data).splitlines() if line.startswith("| net ")]
    assert "500 (-)" in line and "prelu: unsupported" in line


def test_modules_without_their_peer_are_left_out_and_the_script_says_how_to_get_it(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = bench("torch_peers")
    monkeypatch.setattr(peers, "NEEDED", {"no_such_peer": "A peer"})
    monkeypatch.setattr(sys, "argv", ["torch_peers.py"])
    assert peers.measure(["zig"]) == []
    with pytest.raises(SystemExit, match=r"A peer missing; install: pip install -e"):
        peers.main()


def test_module_samples_and_weights_repeat(bench: Any) -> None:
    pytest.importorskip("torch")
    models = bench("torch_models")
    first, again = (models.load("cnn_1d", 2, 3) for _ in range(2))
    assert first.calibration.shape == (2, *first.shape) and first.held_out.shape == (3, *first.shape)
    assert (first.calibration == again.calibration).all() and (first.held_out == again.held_out).all()
    assert (first.module(first.held_out) == again.module(again.held_out)).all()
    assert len({tuple(y.tolist()) for y in first.module(first.held_out)}) == 3


def test_the_figures_that_users_feel_are_measured(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    felt = bench("felt")
    monkeypatch.setattr(felt, "RUNS", 1)
    assert felt.import_seconds() > 0 and felt.help_seconds() > 0
    monkeypatch.setattr(felt, "IMPORT", felt.IMPORT.replace("import sandgrain", "import nothing_of_this_name"))
    with pytest.raises(felt.subprocess.CalledProcessError):
        felt.import_seconds()


def test_the_emulators_rate_leaves_out_what_verify_does_once(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    felt = bench("felt")
    report = type("Report", (), {"instructions": 1_000_000})
    monkeypatch.setattr(felt.sandgrain, "compile", lambda *args, **options: type("Result", (), {"report": report}))
    monkeypatch.setattr(felt, "_verify", lambda folder, count: 7.0 + 0.5 * count)  # 7 s of building, 0.5 s per sample
    assert felt.verify_rate() == pytest.approx(2_000_000)
