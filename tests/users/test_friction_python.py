"""Python as the same tool, as somebody with a model met it: shared/FRICTION.md, "With a PyTorch model"."""

from __future__ import annotations

import collections
import csv
import inspect
import io
import pickle
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

import sandgrain
from sandgrain.base.words import command_line, spoken
from tests.conftest import ROOT
from tests.support.draws import rare

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
    assert "softmax" in short(sandgrain.inspect(DIGITS)) and "boards" in short(sandgrain.inspect(DIGITS))
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
    boards = {row["name"]: row for row in csv.DictReader(io.StringIO(sandgrain.targets().to_csv()))}
    assert "pico" in boards["raspberry-pi-pico"]["aliases"].split(" ")  # words, not a shape
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


@rare
def test_compile_without_out_writes_nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = sandgrain.compile(DIGITS, target="host", measure=False)
    assert list(tmp_path.iterdir()) == [] and (made.folder / "digits.c").is_file()
    kept = made.save(tmp_path / "kept")
    assert (tmp_path / "kept" / "digits.c").read_bytes() == (made.folder / "digits.c").read_bytes()
    with pytest.raises(sandgrain.UsageError, match="holds other files"):
        made.save(ROOT / "sandgrain")
    assert kept.predict(IMAGES).shape == (6, 10)


@rare
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


@rare
def test_progress_true_draws_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, made: sandgrain.Result
) -> None:
    sandgrain.verify(made.folder, limit=2, on="host", progress=True)
    assert (
        capsys.readouterr().err == "choosing samples\nrunning the reference\nrunning the host build\n"
    )  # no terminal: a line for each kind of work
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    sandgrain.verify(made.folder, limit=2, on="host", progress=True)
    drawn = capsys.readouterr().err
    assert "2/2" in drawn and drawn.endswith("\r") and "\n" not in drawn


@rare
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


@rare
def test_nobody_watches_a_script(capsys: pytest.CaptureFixture[str], made: sandgrain.Result) -> None:
    sandgrain.verify(made.folder, limit=1, on="host")
    assert capsys.readouterr() == ("", "")


# --- samples -----------------------------------------------------------------------------------------------------------


class Loader:
    """Batches, as a DataLoader or a tf.data.Dataset gives them."""

    def __init__(self, x: Any, y: Any = None, batch: int = 16) -> None:
        self.x, self.y, self.batch = x, y, batch

    def __iter__(self) -> Any:
        for k in range(0, len(self.x), self.batch):
            piece = slice(k, k + self.batch)
            yield self.x[piece] if self.y is None else (self.x[piece], self.y[piece])


class Set:
    """Samples by number, as a torch Dataset has them: no __iter__."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y, self.asked = x, y, 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> Any:
        if not 0 <= k < len(self):
            raise AssertionError("beyond the end, where a data set may do anything")
        self.asked += 1
        return self.x[k], self.y[k]


def net() -> Any:
    from tests.users.test_cases_int8 import dense

    return dense([[-1, 2, 0], [1, -2, 0]], [0.1, -0.1])


RNG = np.random.default_rng(5)
X = RNG.normal(0, 1, (80, 3)).astype(np.float32)
Y = (X[:, 0] - 2 * X[:, 1] > 0.1).astype(np.int64)
FORMS: dict[str, Callable[[], Any]] = {
    "array": lambda: X,
    "float64": lambda: X.astype(np.float64),
    "nested lists": lambda: X.tolist(),
    "pair": lambda: (X, Y),
    "list pair": lambda: [X, Y],
    "lists in a pair": lambda: (X.tolist(), Y.tolist()),
    "list of samples": lambda: list(X),
    "list of batches": lambda: [X[:40], X[40:]],
    "list of uneven batches": lambda: [X[:50], X[50:]],
    "list of samples with a batch of one": lambda: [x[None] for x in X],
    "list of pairs": lambda: list(zip(X, Y, strict=True)),
    "loader": lambda: Loader(X),
    "labelled loader": lambda: Loader(X, Y),
    "loader of one-tuples": lambda: ((x,) for x in Loader(X)),
    "loader of lists": lambda: ([x, y] for x, y in Loader(X, Y)),
    "loader of names": lambda: ({"x": x, "label": y} for x, y in Loader(X, Y)),
    "texts as labels": lambda: ((x, ["a"] * len(x)) for x in Loader(X)),
    "names": lambda: {"x": X, "y": Y},
    "data set": lambda: Set(X, Y),
    "generator": lambda: (x for x in X),
    "map": lambda: map(np.asarray, X.tolist()),
}


@rare
@pytest.mark.parametrize("form", FORMS)
def test_samples_may_come_in_any_form(form: str) -> None:
    """The same samples in the same order, so the same int8 model."""
    survey = sandgrain.inspect(net(), calibration=FORMS[form]())
    assert survey.compared is not None and survey.compared.samples == 16
    labelled = form in ("pair", "list pair", "lists in a pair", "list of pairs", "labelled loader", "loader of lists",
                        "loader of names", "names", "data set")  # fmt: skip
    assert survey.compared.measure == ("accuracy" if labelled else "")
    reference = sandgrain.inspect(net(), calibration=X).compared
    assert reference is not None and survey.compared.snr_db == pytest.approx(reference.snr_db, abs=1e-3)


@rare
def test_torch_data_sets_are_samples(torch: Any) -> None:
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    reference = sandgrain.inspect(net(), calibration=(X, Y)).compared
    for given in (data, torch.utils.data.DataLoader(data, batch_size=7), torch.from_numpy(X).requires_grad_(), list(data)):
        found = sandgrain.inspect(net(), calibration=given).compared
        assert found is not None and reference is not None and found.snr_db == reference.snr_db


@rare
def test_predict_and_verify_take_what_compile_takes() -> None:
    made = sandgrain.compile(net(), calibration=Loader(X, Y), target="host", measure=False)
    wanted = made.predict(X)
    for form in ("pair", "list of samples", "loader", "data set", "generator"):
        np.testing.assert_array_equal(made.predict(FORMS[form]()), wanted)
    verdict = sandgrain.verify(made.folder, data=Loader(X[:6], Y[:6]), on="host")
    assert verdict.samples == 6 and verdict.identical and verdict.accuracy is not None
    assert sandgrain.verify(made.folder, data=X[:6], labels=Y[:6].tolist(), on="host").accuracy == verdict.accuracy


@rare
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_name(value: float) -> None:
    made = sandgrain.compile(net(), calibration=X, target="host", measure=False)
    wrong = X.copy()
    wrong[7, 1] = value
    what = "NaN in sample 7" if np.isnan(value) else "infinity in sample 7"
    for call in (made.predict, lambda x: sandgrain.verify(made.folder, data=x, on="host")):
        with pytest.raises(sandgrain.UsageError, match=f"x holds values that are not finite: {what}"):
            call(wrong)
    with pytest.raises(sandgrain.UsageError, match=what):
        sandgrain.inspect(net(), calibration=[wrong[:5], wrong[5:]])


def endless() -> Any:
    while True:
        yield X[:8]


def test_an_endless_iterable_ends_and_it_is_said() -> None:
    survey = sandgrain.inspect(net(), calibration=endless())
    assert "the first 2000 samples were taken" in " ".join(survey.warnings)


def test_a_large_data_set_is_sampled_all_over() -> None:
    """Sorted by class, as folders of images are: the first 2,000 would be one class."""
    many = Set(np.repeat(X, 100, axis=0), np.repeat(Y, 100))
    survey = sandgrain.inspect(net(), calibration=many)
    assert many.asked == 2000 and "2000 of 8000 samples were taken, spread over all" in " ".join(survey.warnings)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (lambda: iter(()), "no sample"),
        (lambda: 5, "an int holds no samples"),
        (lambda: [np.zeros(3), np.zeros(4)], "batch 1 holds samples of"),
        (lambda: [(X[0], 1, 2, 3)], "batch 0 has 4 parts"),
        (lambda: ["a", "b"], "batch 0 is a str"),
        (lambda: np.array(["a"]), "give numbers"),
        (lambda: {"image": X}, "under the names image; call them x"),
        (lambda: [(X[0], 1), (X[1], None)], "has no labels"),
        (lambda: (X, Y[:5]), "parts|labels|samples"),
    ],
)
def test_what_holds_no_samples_is_told_so(samples: Callable[[], Any], said: str) -> None:
    with pytest.raises(sandgrain.UsageError, match=said):
        sandgrain.inspect(net(), calibration=samples())


# --- files of PyTorch that are no program --------------------------------------------------------------------------------


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"archive/{name.replace('__', '/')}".replace("/pkl", ".pkl"), data)
    return path


WEIGHTS = pickle.dumps(collections.OrderedDict(), 2)
TRAP = b"cposix\nsystem\n(S'touch trapped'\ntR."


@pytest.mark.parametrize(
    ("name", "members", "said"),
    [
        ("m.pt", {"data__pkl": WEIGHTS}, "holds a state dict: weights without their network"),
        ("m.pth", {"data__pkl": pickle.dumps({"epoch": 3}, 2)}, "holds a state dict"),
        ("m.pt", {"data__pkl": TRAP}, "holds a pickled module, which is never unpickled"),
        ("m.pt", {"data__pkl": WEIGHTS, "code__m": b""}, "holds TorchScript"),
        ("m.pt", {"archive_format": b"pt2"}, "rename it to .pt2"),
        ("m.ckpt", {"x": b""}, "is no model that can be read"),
    ],
)
def test_a_file_of_pytorch_is_told_what_it_is(
    name: str, members: dict[str, bytes], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = zipped(tmp_path / name, **members)
    for call in (sandgrain.compile, sandgrain.inspect):
        with pytest.raises(sandgrain.UnsupportedError, match=said):
            call(path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_old_and_damaged_files_of_pytorch_are_told_too(tmp_path: Path) -> None:
    for data, said in (
        (WEIGHTS, "state dict"),
        (TRAP, "pickled module"),
        (b"", "no model"),
        (b"PK\x03\x04", "no model"),
        (b"\x80", "no model"),
    ):
        (tmp_path / "m.pth").write_bytes(data)
        with pytest.raises(sandgrain.UnsupportedError, match=said):
            sandgrain.inspect(tmp_path / "m.pth")


def test_a_live_state_dict_is_told_what_it_is() -> None:
    with pytest.raises(sandgrain.UsageError, match="state dict: weights without their network"):
        sandgrain.compile({"w": SimpleNamespace(detach=None)}, calibration=X)


def test_tables_speak_python_too(made: sandgrain.Result, tmp_path: Path) -> None:
    """What a verb returns is read by who called it: its lines name options as that caller writes them."""
    floats = sandgrain.inspect(net())
    assert "to be quantized with calibration" in " ".join(str(floats).split())
    assert "--calibration" not in str(floats) and "--calibration" not in floats._repr_html_()
    with command_line():
        assert "--calibration" in " ".join(str(floats).split())


@pytest.mark.parametrize("texts", [np.array(["rain", "dry"] * 40), np.array([b"rain", b"dry"] * 40)])
def test_labels_that_are_names_are_told_what_they_should_be(texts: Any) -> None:
    with pytest.raises(sandgrain.UsageError, match=r"labels are text \(.*dry.*rain.*\); give the number") as caught:
        sandgrain.compile(net(), target="host", measure=False, calibration=(X, texts))
    assert "return_inverse" in str(caught.value)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (lambda: (X, Y[:30]), r"^30 labels for 80 samples; give one for each, or none$"),
        (lambda: (X[:30], Y), r"^80 labels for 30 samples; give one for each, or none$"),
        (lambda: X[:0], r"\(0, 3\): no sample; give at least 1$"),
    ],
)
def test_samples_and_labels_that_do_not_go_together_are_told_as_they_are(samples: Callable[[], Any], said: str) -> None:
    with pytest.raises(sandgrain.UsageError, match=said):
        sandgrain.compile(net(), target="host", measure=False, calibration=samples())
