"""The command line: exit codes, one line for an error, one object for --json, nothing half-written."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sandgrain import __version__
from sandgrain.base.errors import UsageError
from sandgrain.bundle import samples
from sandgrain.device.targets import boards, cores
from sandgrain.formats.tflite import read as reader
from sandgrain.formats.tflite import write
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from tests.conftest import ROOT
from tests.support.command import environment, sandgrain, tree
from tests.support.draws import rare

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
IMAGES = ROOT / "sandgrain" / "demo" / "digits.npz"
COST = {
    "flash_bytes", "code_bytes", "weight_bytes", "ram_bytes", "arena_bytes", "stack_bytes", "macs", "instructions", "cycles",
    "latency_ms", "energy_uj",
}  # fmt: skip
IN_A_LAYER = COST - {"flash_bytes", "code_bytes", "arena_bytes", "stack_bytes"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the digits model; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("cli")
    assert sandgrain("compile", DIGITS, "-t", "microbit-v2", "-o", "digits", cwd=folder).code == 0
    return folder / "digits"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def float_model() -> bytes:
    tensors = (Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "float32"))
    return write.write(Graph("float", tensors, (Node("relu", "r", (0,), (1,), {}),), (0,), (1,)))


# --- one object ----------------------------------------------------------------------------------------------------


def test_compile_prints_one_object_with_every_figure(place: Path) -> None:
    done = sandgrain("compile", DIGITS, "-t", "arduino-nano-33-ble-sense", "--json", cwd=place)
    assert (done.code, done.err) == (0, "")
    check_report(done.json)
    assert (place / done.json["out"] / "digits.c").is_file()


def test_profile_prints_one_object_with_every_figure(made: Path) -> None:
    done = sandgrain("profile", made, "--json", cwd=made.parent)
    assert (done.code, done.err) == (0, "")
    check_report(done.json)


def check_report(report: dict[str, object]) -> None:
    assert COST | {"layers"} <= report.keys()
    assert all(isinstance(report[key], int | float) and report[key] > 0 for key in COST)  # type: ignore[operator]
    layers = report["layers"]
    assert isinstance(layers, list) and len(layers) > 5
    assert all(layer.keys() >= IN_A_LAYER for layer in layers)
    assert {"emulated", "estimated"} <= {str(text).split(":")[0].split(",")[0] for text in report["sources"].values()}  # type: ignore[attr-defined]


def test_verify_prints_one_object_with_samples_identity_and_accuracy(made: Path) -> None:
    done = sandgrain("verify", made, "--data", IMAGES, "--limit", "20", "--json", cwd=made.parent)
    assert (done.code, done.err) == (0, "")
    assert (done.json["samples"], done.json["identical"]) == (20, True)
    assert done.json["accuracy"] >= 0.95
    assert {"host", "emulator"} <= done.json["compared"].keys()


def test_accuracy_is_null_without_labels(made: Path) -> None:
    assert sandgrain("verify", made, "--limit", "2", "--on", "host", "--json", cwd=made.parent).json["accuracy"] is None


def test_ops_and_targets_print_one_object(place: Path) -> None:
    ops = sandgrain("ops", "--json", cwd=place).json["ops"]
    assert {name for op in ops for name in op["tflite"]} == {f.name for op in OPS.values() for f in op.foreign}
    listed = sandgrain("targets", "--json", cwd=place).json
    assert {b["name"] for b in listed["boards"]} == set(boards())
    assert listed["cores"] == list(cores())


def test_an_error_prints_one_object_too(place: Path) -> None:
    done = sandgrain("compile", "missing.tflite", "--json", cwd=place)
    assert done.code == done.json["exit_code"] == 2
    assert done.json["error"] == done.line


# --- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["ops"], ["targets"], ["--help"], ["compile", "--help"], ["profile", "digits"], ["verify", "digits", "--limit", "1"]],
)
def test_no_printed_line_is_wider_than_80_columns(arguments: list[str], made: Path) -> None:
    done = sandgrain(*arguments, cwd=made.parent)
    assert done.code == 0 and done.out
    assert [line for line in done.out.splitlines() if len(line) > 80] == []


def test_the_report_of_compile_fits_80_columns_and_names_its_sources(place: Path) -> None:
    done = sandgrain("compile", DIGITS, "-o", "out", "--dump", cwd=place)
    assert max(map(len, done.out.splitlines())) <= 80
    assert all(word in done.out for word in ("emulated", "estimated", "RAM", "flash", "arena", "stack", "MACs", "energy"))


def test_version_is_printed(place: Path) -> None:
    assert sandgrain("--version", cwd=place).out == f"sandgrain {__version__}\n"


def test_demo_runs_all_held_out_images_on_the_emulated_board(place: Path) -> None:
    done = sandgrain("demo", "--no-train", "--json", cwd=place)
    assert (done.code, done.err) == (0, "")
    check_report(done.json)
    assert done.json["verify"]["samples"] == 360 and done.json["verify"]["identical"]
    assert done.json["verify"]["accuracy"] >= 0.98
    assert done.json["target"] == "arduino-nano-33-ble-sense"
    text = sandgrain("demo", "--no-train", cwd=place).out
    assert all(word in text for word in ("accuracy", "RAM", "flash", "cycles", " ms", "C lies in"))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.slow
def test_demo_trains_keeps_its_budget_and_proves_the_firmware(place: Path) -> None:
    done = sandgrain("demo", "--json", cwd=place, timeout=900)
    assert (done.code, done.err) == (0, "")
    assert done.json["identical"] and done.json["accuracy"] >= 0.97 and done.json["missed"] == []
    assert (place / "digits-demo" / "digits.html").stat().st_size > 10_000


# --- what cannot be used: exit code 2, one line, nothing left -----------------------------------------------------------


def refused(arguments: list[str | Path], place: Path, code: int = 2) -> str:
    before = tree(place)
    done = sandgrain(*arguments, cwd=place)
    assert (done.code, done.out) == (code, "")
    assert tree(place) == before, "a refused command changed files"
    return done.line


MODELS = {
    "empty": b"",
    "garbage": bytes(range(256)) * 40,
    "truncated": DIGITS.read_bytes()[:5000],
    "text": b"not a model\n",
    "float": float_model(),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_that_is_no_int8_model_gives_one_line(kind: str, place: Path) -> None:
    (place / "model.tflite").write_bytes(MODELS[kind])
    refused(["compile", "model.tflite", "-o", "deep/er/out"], place)


def test_a_missing_model_and_a_folder_give_one_line(place: Path) -> None:
    assert "missing.tflite" in refused(["compile", "missing.tflite"], place)
    assert "not a file" in refused(["compile", "."], place)
    assert refused(["compile", "no\nline\x1b[31m"], place)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["-t", "cortex-m99"], "cortex-m7"),
        (["--name", "int"], "--name"),
        (["--name", "a;b"], "--name"),
        (["--arena", "heap"], "--arena"),
        (["--arena-section", '.x"))) int y;'], "--arena-section"),
        (["--arena", "caller", "--arena-section", ".dtcm"], "--arena-section"),
        (["--max-ram", "64Q"], "--max-ram"),
        (["--max-flash", "9" * 400], "--max-flash"),
        (["--max-latency", "-1"], "--max-latency"),
        (["--compiler", "msvc"], "msvc"),
        (["--labels", "missing.txt"], "--labels"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: list[str], word: str, place: Path) -> None:
    assert word in refused(["compile", DIGITS, "-o", "out", *options], place)


def test_a_label_that_c_cannot_hold_is_refused(place: Path) -> None:
    (place / "long.txt").write_text("cat\n" + "d" * 1001)
    assert "label" in refused(["compile", DIGITS, "-o", "out", "--labels", "long.txt"], place)
    (place / "bytes.txt").write_bytes(b"\xff\xfe")
    assert "--labels" in refused(["compile", DIGITS, "-o", "out", "--labels", "bytes.txt"], place)


def test_an_unknown_option_exits_with_2(place: Path) -> None:
    done = sandgrain("compile", DIGITS, "--no-such-option", cwd=place)
    assert done.code == 2 and "--no-such-option" in done.err


def test_a_folder_with_other_files_is_not_overwritten(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "thesis.txt").write_text("years of work")
    assert "other files" in refused(["compile", DIGITS, "-o", "out"], place)
    (place / "file").write_text("x")
    assert "file" in refused(["compile", DIGITS, "-o", "file"], place)
    assert "file" in refused(["compile", DIGITS, "-o", "file/below"], place)


def test_a_bundle_is_replaced_and_what_lies_beside_it_stays(made: Path, place: Path) -> None:
    shutil.copytree(made, place / "out")
    (place / "out" / "notes.txt").write_text("mine")
    assert sandgrain("compile", DIGITS, "-o", "out", "--name", "other", "--no-measure", cwd=place).code == 0
    assert "other_run" in (place / "out" / "other.h").read_text()
    assert (place / "out" / "notes.txt").read_text() == "mine"
    assert {p.name for p in (place / "out").glob("*.[ch]")} == {"other.c", "other.h"}
    assert sorted(p.name for p in place.iterdir()) == ["out"]


def test_a_refused_compile_leaves_the_old_bundle_as_it_was(made: Path, place: Path) -> None:
    shutil.copytree(made, place / "out")
    (place / "bad.tflite").write_bytes(MODELS["garbage"])
    refused(["compile", "bad.tflite", "-o", "out"], place)
    refused(["compile", DIGITS, "-o", "out", "--max-ram", "1K"], place, code=3)


@pytest.mark.parametrize("command", ["profile", "verify"])
def test_a_folder_that_is_no_bundle_is_refused(command: str, made: Path, place: Path) -> None:
    assert "sandgrain compile" in refused([command, "nowhere"], place)
    (place / "proof").mkdir()
    for text in ("{", "[]", '{"sandgrain": "0"}', json.dumps({"sandgrain": __version__}), "[" * 100_000):
        (place / "proof" / "build.json").write_text(text)
        refused([command, "."], place)
    shutil.copytree(made, place / "cut")
    (place / "cut" / "proof" / "model.tflite").write_bytes(MODELS["truncated"])
    refused([command, "cut"], place)


# --- data -----------------------------------------------------------------------------------------------------------


def npy(shape: str, dtype: str = "'|i1'", data: bytes = b"") -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def saved(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def zipped(member: bytes, name: str = "x.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, member)
    return stream.getvalue()


GOOD = np.zeros((3, 8, 8, 1), np.int8)
DATA = {
    "empty": b"",
    "garbage": b"PK\x03\x04" + bytes(500),
    "truncated": saved(x=GOOD)[:200],
    "objects": saved(x=np.array([{"a": 1}, None], object)),
    "no x": saved(z=GOOD),
    "wrong shape": saved(x=np.zeros((3, 7, 7, 1), np.int8)),
    "a scalar": saved(x=np.int8(3)),
    "no samples": saved(x=GOOD[:0]),
    "wrong dtype": saved(x=GOOD.astype(np.int16)),
    "text": saved(x=np.array(["a", "b"])),
    "labels of another length": saved(x=GOOD, y=np.zeros(2, np.int64)),
    "float labels": saved(x=GOOD, y=np.zeros(3)),
    "a header that claims a terabyte": zipped(npy("(1000000000000, 8, 8, 1)")),
    "a header that claims more than there is": zipped(npy("(3, 8, 8, 1)", data=b"short")),
    "a negative shape": zipped(npy("(-3, 8, 8, 1)", data=bytes(192))),
    "a header that is code": zipped(npy("__import__('os').getcwd()")),
    "a version of the future": zipped(b"\x93NUMPY\x09\x00" + bytes(200)),
    "not an npy": zipped(b"hello"),
    "an npy and no zip": npy("(3, 8, 8, 1)", data=bytes(192)),
}


@pytest.fixture(scope="module")
def digits_graph() -> Graph:
    return reader.load(DIGITS)


@pytest.mark.parametrize("kind", DATA)
def test_hostile_data_is_refused_in_one_line(kind: str, digits_graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(DATA[kind])
    with pytest.raises(UsageError) as caught:
        samples.load(tmp_path / "x.npz", digits_graph)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["objects", "a header that claims a terabyte", "wrong shape"])
def test_verify_exits_with_2_for_hostile_data(kind: str, made: Path) -> None:
    (made.parent / "bad.npz").write_bytes(DATA[kind])
    refused(["verify", made, "--data", "bad.npz"], made.parent)


# --- the other exit codes ------------------------------------------------------------------------------------------------


def test_a_limit_that_cannot_be_kept_exits_with_3(place: Path) -> None:
    assert "--max-ram" in refused(["compile", DIGITS, "-o", "out", "--max-ram", "1K"], place, code=3)


def test_c_that_does_not_compile_exits_with_5(made: Path, place: Path) -> None:
    shutil.copytree(made, place / "out")
    with (place / "out" / "digits.c").open("a") as file:
        file.write("int oops = ;\n")
    assert "expected expression" in refused(["verify", "out", "--edited", "--limit", "1"], place, code=5)
    assert "expected expression" in refused(["profile", "out"], place, code=5)


def test_a_difference_exits_with_4_and_prints_one_object(made: Path, place: Path) -> None:
    shutil.copytree(made, place / "out")
    body = (place / "out" / "digits.c").read_text()
    (place / "out" / "digits.c").write_text(body.replace("    return DIGITS_OK;", "    output_0[0] ^= 1;\n    return DIGITS_OK;"))
    done = sandgrain("verify", "out", "--edited", "--limit", "2", "--on", "host", "--json", cwd=place)
    assert done.code == 4
    assert done.json["identical"] is False and done.json["difference"]["runner"] == "host"
    assert "differs" in done.line


# --- killed ----------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_compile_leaves_no_half_written_bundle(how: signal.Signals, place: Path) -> None:
    temporary = place / "tmp"
    temporary.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "sandgrain", "compile", str(DIGITS), "-o", "out"],
        cwd=place,
        env=environment(temporary),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not list(place.glob(".out.*/digits.c")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(how)
    # A signal that comes between two steps, or in a callback from C that cannot be left, may be too late: then all is there.
    if child.wait(timeout=60) == 0:
        assert {"digits.c", "digits.h", "kernels", "proof"} == {p.name for p in (place / "out").iterdir()}
    else:
        assert not (place / "out").exists()
    if how != signal.SIGKILL:  # nobody can tidy up after that one
        assert list(place.glob(".out.*")) == [] and list(temporary.iterdir()) == []
    assert sandgrain("compile", DIGITS, "-o", "out", "--no-measure", cwd=place).code == 0
