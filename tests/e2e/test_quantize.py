"""`sandgrain quantize`: a float file and samples in, an int8 file out, with figures."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import SandgrainError
from sandgrain.compiler import passes
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import interpret, reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import dequantize, per_tensor
from sandgrain.quantization import METHODS, Calibration, Options, quantize
from sandgrain.quantization.equalize import CRITERIA
from sandgrain.quantization.report import layer_errors
from tests.conftest import ROOT
from tests.support.command import Done, sandgrain, tree
from tests.support.draws import SeededDraw, rare, turns
from tests.support.float_graphs import floated, small
from tests.support.integers import to_int8
from tests.support.models import int8_outputs
from tests.support.shared_files import MODELS, shared_data, shared_model
from tests.support.tflite_mutants import mutant
from tests.support.tflm_oracle import skip_without_tflm, tflm_run

MUTANTS = int(os.environ.get("SANDGRAIN_MUTANTS", "400"))
SMALL = 50_000  # elements of a damaged model that is quantized
KWS_INPUT = ("--input-scale", "0.5847029089927673", "--input-zero-point", "83")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float model and 40 labelled samples."""
    place = tmp_path_factory.mktemp("quantize")
    net, graph = small()
    x = net.samples(40)
    (place / "net.tflite").write_bytes(writer.write(graph))
    y = reals.outputs(graph, x)[0].reshape(40, -1).argmax(axis=1)
    np.savez(place / "net.npz", x=x.astype(np.float64), y=y)
    return place


def run(folder: Path, *more: str, out: str = "int8.tflite") -> Done:
    return sandgrain("quantize", "net.tflite", "-c", "net.npz", "-o", out, *more, cwd=folder)


def test_the_report_fits_a_terminal_and_names_the_worst_layer(folder: Path) -> None:
    done = run(folder, "--samples", "30")
    assert done.code == 0, done.err
    assert all(len(line.rstrip()) <= 80 for line in done.out.splitlines())
    assert "calibrated on 30 samples, percentile" in done.out
    assert "float against int8 on 10 samples that calibration did not see" in done.out
    assert "accuracy   float 100.00 %" in done.out
    assert "Layers, the worst first" in done.out and "wrote int8.tflite" in done.out


def test_json_is_one_object(folder: Path) -> None:
    found = run(folder, "--json", "--method", "mse", "--equalize", "--no-bias-correction").json
    assert found["calibrated"] == 32 and found["held_out"] is True
    assert found["calibration"]["method"] == "mse"
    assert (found["equalize"], found["bias_correction"]) == ("activations", False)
    assert found["snr_db"][0] > 25 and found["accuracy_int8"] > 0.9
    assert found["int8_bytes"] == (folder / "int8.tflite").stat().st_size
    levels = [layer["snr_db"] for layer in found["layers"]]
    assert levels == sorted(levels) and len(levels) == 6


@rare
def test_the_same_call_writes_the_same_bytes(folder: Path) -> None:
    for name in ("one.tflite", "two.tflite"):
        api.quantize(folder / "net.tflite", folder / "net.npz", folder / name)
    assert (folder / "one.tflite").read_bytes() == (folder / "two.tflite").read_bytes()


def test_a_refusal_is_one_line_and_writes_nothing(folder: Path) -> None:
    before = tree(folder)
    done = run(folder, "--method", "best", out="new.tflite")
    assert (done.code, "--method 'best' is not a way to calibrate; choose minmax" in done.line) == (2, True)
    assert tree(folder) == before


def refusal(folder: Path, **changes: Any) -> str:
    """What `quantize` says; nothing is written."""
    given = {"model": folder / "net.tflite", "calibration": folder / "net.npz", "out": folder / "new.tflite"} | changes
    before = tree(folder)
    with pytest.raises(SandgrainError) as error:
        api.quantize(**given)
    assert tree(folder) == before
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"input_scale": -1.0}, "input_scale=-1; give a number above 0"),
        ({"input_scale": 1.0, "input_zero_point": 300}, "input_zero_point=300; give an integer from -128 to 127"),
        ({"test": "none.npz"}, "none.npz: no such file"),
        ({"calibration": __file__}, "test_quantize.py is not a readable .npz file"),
        ({"out": "missing/int8.tflite"}, "out='missing/int8.tflite': No such file or directory; name a file that can be written"),
        ({"model": "none.tflite"}, "name a model's file that can be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(folder: Path, changes: dict[str, Any], fact: str) -> None:
    assert fact in refusal(folder, **changes)


@pytest.mark.parametrize(
    ("arrays", "fact"),
    [
        ({"z": np.zeros(3)}, "has no array 'x'"),
        ({"x": np.zeros((4, 7))}, "the model takes samples of (1, 6, 6, 3)"),
        ({"x": np.zeros((4, 6, 6, 3)), "y": np.zeros(3, int)}, "give one label a sample"),
        ({"x": np.full((4, 6, 6, 3), np.nan)}, "holds values that are not finite"),
        ({"x": np.zeros((4, 6, 6, 3), "U3")}, "give numbers"),
        ({"x": np.full((4, 6, 6, 3), 1e300)}, "holds values that are not finite"),
    ],
)
def test_samples_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, arrays: dict[str, Array], fact: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    assert fact in refusal(folder, calibration=tmp_path / "bad.npz")


def test_an_int8_model_is_refused(folder: Path) -> None:
    api.quantize(folder / "net.tflite", folder / "net.npz", folder / "int8.tflite")
    assert "is not a float model; it is quantized already" in refusal(folder, model=folder / "int8.tflite")


@rare
def test_int8_samples_are_read_by_the_given_scale(folder: Path, tmp_path: Path) -> None:
    x = np.load(folder / "net.npz")["x"]
    given = per_tensor(0.03, 5)
    np.savez(tmp_path / "whole.npz", x=to_int8(x, given))
    api.quantize(folder / "net.tflite", tmp_path / "whole.npz", tmp_path / "y.tflite", input_scale=0.03, input_zero_point=5)
    made = read.read((tmp_path / "y.tflite").read_bytes(), "y")
    assert made.tensors[made.inputs[0]].quant == given


# --- hostile files ---------------------------------------------------------------------------------------------------


@rare
@pytest.mark.filterwarnings("error")
def test_a_damaged_float_file_is_quantized_or_refused_in_a_line(folder: Path) -> None:
    models = [(folder / "net.tflite").read_bytes(), writer.write(floated(OPS["concatenation"].sample(SeededDraw(8))))]
    legal, refusals = 0, []
    for seed in range(MUTANTS):
        try:
            graph = read.read_float(mutant(models, seed), "mutant")
            if sum(t.size for t in graph.tensors) > SMALL:
                continue
            shapes = [graph.tensors[i].shape for i in graph.inputs]
            x = [np.random.default_rng(seed).standard_normal((3, *shape)).astype(np.float32) for shape in shapes]
            how = Options(Calibration(METHODS[seed % len(METHODS)]), ("none", *CRITERIA)[seed % 3], bool(seed % 2))
            layer_errors(quantize(graph, x, how), x, samples=2)
            legal += 1
        except SandgrainError as error:
            refusals.append(str(error))
    assert legal
    assert [text for text in refusals if not text.isprintable() or "please report" in text] == []


# --- models of others ------------------------------------------------------------------------------------------------


@rare
def test_keyword_spotting_keeps_its_accuracy(tmp_path: Path) -> None:
    """Calibrated on 120 of kws01's inputs, at least 89.5 % of the other 880."""
    shared_model("kws_ref_model_float32")
    data, source = shared_data("kws01.npz"), MODELS / "kws_ref_model_float32.tflite"
    work = tmp_path / "work"
    work.mkdir()
    done = sandgrain(
        "quantize", source, "-c", data, "-o", "kws.tflite", "--samples", "120", *KWS_INPUT, "--json", cwd=work, timeout=300
    )
    assert done.code == 0, done.err
    found = done.json
    assert (found["calibrated"], found["samples"], found["held_out"]) == (120, 880, True)
    assert found["accuracy_int8"] >= 0.895
    assert found["accuracy_int8"] >= found["accuracy_float"] - 0.005


@rare
@pytest.mark.parametrize(
    "name", turns(["kws_ref_model_float32", "pretrainedResnet", "vww_96_float", "ad01_fp32", "hello_world_float"], 2)
)
def test_files_of_others_become_int8_files_that_tensorflow_lite_micro_runs_alike(name: str) -> None:
    skip_without_tflm()
    graph = read.read_float(shared_model(name), name)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, *graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
    made = quantize(graph, [x])
    again = read.read(writer.write(made.graph), name)
    whole = int8_outputs(again, [x])[0]
    np.testing.assert_array_equal(whole[:1], reference(again, x[:1]))
    rows = [[to_int8(row, made.scales[made.floats.inputs[0]])] for row in x[:2]]
    theirs = [y[0] for y in tflm_run(writer.write(made.graph), rows)]
    ours = [interpret.run(again, row)[0].reshape(y.shape) for row, y in zip(rows, theirs, strict=True)]
    np.testing.assert_array_equal(ours, theirs)


def reference(graph: Graph, x: Array) -> Array:
    """The optimized int8 graph by the ops' references, as reals."""
    source, out = graph.tensors[graph.inputs[0]].quant, graph.tensors[graph.outputs[0]].quant
    assert source is not None and out is not None
    run = passes.optimize(graph)
    return np.stack([dequantize(interpret.run(run, [to_int8(row, source)])[0], out) for row in x])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["kws", "resnet", "vww", "ad01"])
def test_outputs_are_no_noisier_than_those_of_the_int8_files_of_others(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    bench = importlib.import_module("quantize")
    for name in bench.PAIRS[model]:
        shared_model(name)
    shared_data("kws01.npz")
    theirs, ours = bench.rows(model, {"default": bench.RECIPES["default"]})
    assert ours.snr_db >= theirs.snr_db
