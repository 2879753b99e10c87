"""Python as the same tool, as somebody with a model met it: shared/FRICTION.md, "With a PyTorch model"."""

from __future__ import annotations

import csv
import inspect
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

import sandgrain
from sandgrain.base.words import command_line, spoken
from tests.conftest import ROOT

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
IMAGES = np.load(DIGITS.with_suffix(".npz"))["x"][:6]


@pytest.fixture(scope="module")
def made() -> sandgrain.Result:
    return sandgrain.compile(DIGITS, target="host", measure=False)


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")


# --- what a verb returns -----------------------------------------------------------------------------------------------


def short(thing: Any) -> str:
    """What a person sees of it; the same in a terminal, with `print` and in an error of a test."""
    text = str(thing)
    assert repr(thing) == text
    assert 0 < len(text) < 6000 and max(map(len, text.splitlines())) <= 80
    assert "PosixPath" not in text and "Report(" not in text and "=(" not in text
    return text


def test_results_print_as_short_tables(made: sandgrain.Result) -> None:
    assert "RAM" in short(made) and "temporary" in short(made)
    assert "conv_2d" in short(made.report)
    assert "softmax" in short(sandgrain.inspect(DIGITS)) and "microbit-v2" in short(sandgrain.inspect(DIGITS))
    assert "cortex-m4" in short(sandgrain.targets())
    assert "conv_2d" in short(sandgrain.explain_kernels("conv_2d", "cortex-m4", DIGITS))
    assert all(len(short(op)) < 1000 for op in sandgrain.ops())


def test_a_notebook_shows_tables_without_anything_that_runs(made: sandgrain.Result) -> None:
    for thing in (made, made.report, sandgrain.inspect(DIGITS), sandgrain.targets()):
        markup = thing._repr_html_()
        assert markup.count("<table>") == markup.count("</table>") >= 1 and "<script" not in markup
    hostile = sandgrain.LayerReport(0, "<b>", "x", "k", "<script>", 0, 0, 0)
    assert "<script" not in hostile._repr_html_() and "&lt;script&gt;" in hostile._repr_html_()


def test_results_go_into_a_frame_a_dict_and_csv(made: sandgrain.Result) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    frame = made.report.to_frame()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == len(made.report.layers)
    assert frame["macs"].sum() == made.report.macs
    assert made.report.to_dict() == made.report.to_json() and made.to_dict()["arena_bytes"] == made.report.arena_bytes
    rows = list(csv.DictReader(io.StringIO(sandgrain.inspect(DIGITS).to_csv())))
    assert [row["op"] for row in rows] == [layer.op for layer in sandgrain.inspect(DIGITS).layers]
    assert rows[0]["shape"] == "1x8x8x24"
    assert len(sandgrain.targets().to_frame()) == len(sandgrain.targets().boards)


def test_a_frame_without_pandas_says_what_to_do(made: sandgrain.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(sandgrain.UsageError, match="pip install pandas"):
        made.report.to_frame()


def test_a_spreadsheet_runs_no_name_of_a_model() -> None:
    layer = sandgrain.LayerReport(0, "=cmd()", 'a,"b\n', "k", "1", 0, 0, 0)
    row = next(csv.DictReader(io.StringIO(layer.to_csv())))
    assert row["op"] == "'=cmd()" and row["name"] == 'a,"b\n'


def test_tab_offers_verbs_results_and_errors_alone() -> None:
    import sandgrain.api.quantize

    names = [name for name in dir(sandgrain) if not name.startswith("__")]
    assert {"compile", "build", "export", "targets", "load", "Result"} <= set(names)
    wrong = [n for n in names if not (inspect.isfunction(getattr(sandgrain, n)) or inspect.isclass(getattr(sandgrain, n)))]
    assert wrong == []


def test_types_are_checked_by_the_callers_tools() -> None:
    assert (ROOT / "sandgrain" / "py.typed").is_file()
    hints = get_type_hints(sandgrain.compile)
    assert set(get_args(hints["optimize"])) == {"speed", "size", "balanced"}
    assert set(get_args(hints["arena"])) == {"static", "caller"}
    assert "percentile" in get_args(get_type_hints(sandgrain.quantize)["method"])
    for verb in sandgrain._VERBS:
        assert " at 0x" not in str(inspect.signature(getattr(sandgrain, verb))), verb


# --- files -------------------------------------------------------------------------------------------------------------


def test_compile_without_out_writes_nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = sandgrain.compile(DIGITS, target="host", measure=False)
    assert list(tmp_path.iterdir()) == [] and (made.folder / "digits.c").is_file()
    kept = made.save(tmp_path / "kept")
    assert (tmp_path / "kept" / "digits.c").read_bytes() == (made.folder / "digits.c").read_bytes()
    with pytest.raises(sandgrain.UsageError, match="holds other files"):
        made.save(ROOT / "sandgrain")
    assert kept.predict(IMAGES).shape == (6, 10)


def test_a_folder_is_loaded_again(tmp_path: Path) -> None:
    first = sandgrain.compile(DIGITS, target="host", measure=False, out=tmp_path / "out")
    again = sandgrain.load(tmp_path / "out")
    np.testing.assert_array_equal(again.predict(IMAGES), first.predict(IMAGES))
    assert again.text == first.text and again.report.arena_bytes == first.report.arena_bytes
    assert sandgrain.load(tmp_path).folder == tmp_path / "out"  # a project's folder
    for nothing in (tmp_path / "none", DIGITS):
        with pytest.raises(sandgrain.UsageError, match="is not a Sandgrain bundle"):
            sandgrain.load(nothing)


def test_predict_builds_once(made: sandgrain.Result, tmp_path: Path) -> None:
    made.predict(IMAGES)
    start = time.perf_counter()
    for _ in range(10):
        made.predict(IMAGES)
    assert time.perf_counter() - start < 1.0


def test_predict_sees_that_its_folder_has_changed(tmp_path: Path) -> None:
    made = sandgrain.compile(DIGITS, target="host", measure=False, out=tmp_path / "out")
    before = made.predict(IMAGES)
    code = tmp_path / "out" / "digits.c"
    np.testing.assert_array_equal(made.predict(IMAGES), before)
    code.unlink()
    with pytest.raises(sandgrain.SandgrainError):
        made.predict(IMAGES)


# --- said before any work ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimize": "fast"}, "optimize='fast' is not a goal; choose speed, size, balanced"),
        ({"optimize": "SPEED"}, "optimize='SPEED' is not a goal"),
        ({"arena": "heap"}, "arena='heap' is neither static nor caller"),
        ({"compiler": "tcc"}, "no compiler called 'tcc'"),
        ({"max_ram": "much"}, "max_ram='much' is not a size"),
        ({"max_latency": "soon"}, "max_latency='soon' is not a time"),
        ({"max_latency": "5ms", "measure": False}, "measure=False runs nothing"),
        ({"max_latency": 5, "target": "host"}, "host has no firmware"),
        ({"arena": "caller", "section": ".dtcm"}, "section= goes with arena='static'"),
        ({"out": "/proc/none/here"}, "out='/proc/none/here' cannot be"),
        ({"calibration": "none.npz"}, "none.npz: no such file"),
    ],
)
def test_wrong_arguments_are_told_before_the_model_is_read(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    """The model does not exist, so whoever reads it first says so."""
    with pytest.raises(sandgrain.UsageError) as caught:
        sandgrain.compile(tmp_path / "none.tflite", **options)
    assert said in str(caught.value)
    assert "--" not in str(caught.value)


def test_what_cannot_fit_is_told_before_anything_is_measured() -> None:
    told: list[str] = []
    for limit, what in (({"max_ram": "2K"}, "exceeds 2048 B (max_ram=)"), ({"max_flash": "4K"}, "exceeds 4096 B (max_flash=)")):
        with pytest.raises(sandgrain.BudgetError) as caught:
            sandgrain.compile(DIGITS, **limit, progress=lambda *step: told.append(step[0]))
        assert what in str(caught.value) and "layer" in str(caught.value)
    assert told == []


def test_a_live_model_without_calibration_is_refused_before_it_is_exported(torch: Any) -> None:
    class Loud(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            raise AssertionError("it was run")

    for verb in (sandgrain.compile, lambda m, **how: sandgrain.export(m, "x.tflite", **how)):
        with pytest.raises(sandgrain.UsageError, match=r"calibration samples to quantize it \(\[n, 3, 8, 8\]\)"):
            verb(Loud(), example_input=torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: sandgrain.verify(f, on="board"), "on='board' is not a place to run"),
        (lambda f: sandgrain.export(DIGITS, f / "x.tflite", kind="int4"), "kind='int4' is no kind"),
        (lambda f: sandgrain.quantize(DIGITS, f / "x.npz", f / "y.tflite", method="best"), "method='best' is not a way"),
    ],
)
def test_other_verbs_speak_python_too(call: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(sandgrain.UsageError) as caught:
        call(tmp_path)
    assert said in str(caught.value) and "--" not in str(caught.value)


def test_a_message_is_in_the_words_of_who_asked() -> None:
    pairs = {
        "--max-ram 'much' is": "max_ram='much' is",
        "(--max-ram) by 3": "(max_ram=) by 3",
        "use --on host": "use on='host'",
        "or say --no-train": "or say train=False",
        "--input-scale 0.5; give": "input_scale=0.5; give",
        "-o /x/y.c cannot be": "out='/x/y.c' cannot be",
        "make one with: sandgrain compile MODEL -o out": "make one with: sandgrain compile MODEL -o out",
        "a - b -- c --json": "a - b -- c --json",
    }
    assert {text: spoken(text) for text in pairs} == pairs
    with command_line():
        assert [spoken(text) for text in pairs] == list(pairs)


# --- progress ----------------------------------------------------------------------------------------------------------


def test_progress_true_draws_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, made: sandgrain.Result
) -> None:
    sandgrain.verify(made.folder, limit=2, on="host", progress=True)
    assert capsys.readouterr().err == "running the reference\n"  # no terminal: a line for each kind of work
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    sandgrain.verify(made.folder, limit=2, on="host", progress=True)
    drawn = capsys.readouterr().err
    assert "2/2" in drawn and drawn.endswith("\r") and "\n" not in drawn


def test_a_notebook_has_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch, made: sandgrain.Result) -> None:
    shown: list[str] = []

    class ZMQInteractiveShell:
        pass

    def display(thing: Any, display_id: bool) -> Any:
        return SimpleNamespace(update=lambda thing: shown.append(thing._repr_html_()))

    shell = SimpleNamespace(get_ipython=lambda: ZMQInteractiveShell(), display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", shell.display)
    sandgrain.verify(made.folder, limit=2, on="host")
    assert any('<progress value="2" max="2">' in text for text in shown) and shown[-1] == ""
    shown.clear()
    sandgrain.verify(made.folder, limit=2, on="host", progress=False)
    assert shown == []


def test_nobody_watches_a_script(capsys: pytest.CaptureFixture[str], made: sandgrain.Result) -> None:
    sandgrain.verify(made.folder, limit=1, on="host")
    assert capsys.readouterr() == ("", "")
