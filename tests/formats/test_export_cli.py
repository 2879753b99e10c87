"""`sandgrain export`: the suffix says what is written; whatever cannot be is one line, and leaves the folder as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner, Result

import sandgrain as api
from sandgrain.api.export import export
from sandgrain.base.errors import SandgrainError, UnsupportedError, UsageError
from sandgrain.cli import app
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as writer
from sandgrain.formats.tflite.flatbuffer import root
from sandgrain.formats.tflite.tensors import raw_tensors
from sandgrain.quantization import quantize
from tests.support.command import sandgrain, tree
from tests.support.float_graphs import Net, small
from tests.support.tflm_oracle import needs_tflm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of floats, its int8 twin, and samples."""
    place = tmp_path / "work"
    place.mkdir()
    net, graph = small()
    x = net.samples(40)
    (place / "net.tflite").write_bytes(writer.write(graph))
    (place / "int8.tflite").write_bytes(writer.write(quantize(graph, [x]).graph))
    np.savez(place / "net.npz", x=x)
    return place


def run(folder: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, ["export", *arguments])


def test_a_float_model_becomes_int8_and_the_cost_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(folder, "net.tflite", "-c", "net.npz", "-o", "out.tflite", monkeypatch=monkeypatch)
    assert done.exit_code == 0
    assert "int8 against the model of floats: " in done.output and "wrote out.tflite: net as int8, " in done.output
    assert read.load(folder / "out.tflite").nodes[0].op == "conv_2d"


@needs_tflm
def test_int16_is_16x8(folder: Path) -> None:
    report = export(folder / "net.tflite", folder / "out.tflite", calibration=folder / "net.npz", kind="int16")
    assert report.snr_db is not None and report.snr_db[0] > 35
    model = root((folder / "out.tflite").read_bytes(), b"TFL3")
    types = {t.type for t in raw_tensors(model.tables(2)[0].tables(0), model.tables(4))}
    assert {7, 9, 4} <= types  # int16, int8, int64


def test_floats_stay_floats_without_samples(folder: Path) -> None:
    for name in ("out.tflite", "out.onnx", "out.cc"):
        assert export(folder / "net.tflite", folder / name, kind="float").kind == "float"
    assert (folder / "out.tflite").read_bytes() == writer.write(read.read_float((folder / "net.tflite").read_bytes(), "net"))


def test_an_int8_model_becomes_qdq_onnx(folder: Path) -> None:
    report = export(folder / "int8.tflite", folder / "out.onnx")
    assert report.snr_db is None and report.size == (folder / "out.onnx").stat().st_size
    kinds = {n.op_type for n in onnx.load(folder / "out.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv", "Softmax"} <= kinds


def test_who_gets_qdq_onnx_is_told_of_processors_whose_sums_saturate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(*arguments: str) -> list[str]:
        done = run(folder, *arguments, monkeypatch=monkeypatch)
        assert done.exit_code == 0
        return [" ".join(part.split()) for part in done.output.split("note: ")[1:]]

    (note,) = notes("int8.tflite", "-o", "out.onnx")
    assert "without VNNI" in note and "session.x64quantprecision to 1" in note
    assert notes("int8.tflite", "-o", "out.tflite") == notes("net.tflite", "--as", "float", "-o", "out.onnx") == []
    assert export(folder / "int8.tflite", folder / "out.onnx").to_json()["note"].split() == note.split()
    assert export(folder / "int8.tflite", folder / "out.tflite").to_json()["note"] is None


def test_a_compiled_folder_is_a_model(folder: Path) -> None:
    api.compile(folder / "int8.tflite", out=folder / "bundle", measure=False)
    export(folder / "bundle", folder / "out.tflite")
    export(folder / "int8.tflite", folder / "same.tflite")
    again, same = (read.load(folder / name) for name in ("out.tflite", "same.tflite"))
    assert [n.op for n in again.nodes] == [n.op for n in same.nodes]
    assert all(
        a.data is None or np.array_equal(a.data, b.data)
        for a, b in zip(again.tensors, same.tensors, strict=True)
        if b.data is not None
    )


REFUSED = [
    (("net.tflite", "out.tflite"), {}, "net computes with floats; give calibration='x.npz' to quantize it, or kind='float'"),
    (("net.tflite", "out.tflite"), {"kind": "int16"}, "give calibration='x.npz'"),
    (("net.tflite", "out.onnx"), {"kind": "int16", "calibration": "net.npz"}, "kind='int16' is for .tflite and .cc"),
    (("net.tflite", "out.tflite"), {"kind": "int4"}, "kind='int4' is no kind of numbers; choose int8, int16, float"),
    (("int8.tflite", "out.tflite"), {"kind": "float"}, "int8 is int8 already; export it from its model of floats"),
    (("int8.tflite", "out.bin"), {}, "out='out.bin': what to write is said by its suffix; use .tflite, .onnx, .cc"),
    (("int8.tflite", "no/out.tflite"), {}, "out.tflite': No such file or directory; name a file that can be written"),
    (("int8.tflite", "."), {}, "what to write is said by its suffix"),
    (("missing.tflite", "out.tflite"), {}, "missing.tflite"),
    (("net.npz", "out.tflite"), {}, "net.npz is none of the known models"),
    ((".", "out.tflite"), {}, "is not a Sandgrain bundle"),
]


@pytest.mark.parametrize(("paths", "options", "said"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_what_cannot_be_exported_leaves_the_folder_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, str], options: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(folder)
    before = tree(folder)
    with pytest.raises(SandgrainError) as caught:
        export(paths[0], paths[1], **options)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert tree(folder) == before


def test_a_header_that_cannot_be_written_leaves_no_source(folder: Path) -> None:
    (folder / "out.h").mkdir()
    with pytest.raises(UsageError, match=r"out\.h': .*; name a file that can be written"):
        export(folder / "int8.tflite", folder / "out.cc")
    assert not (folder / "out.cc").exists()


def test_a_model_that_no_tflite_can_hold_goes_to_onnx(folder: Path) -> None:
    net = Net((1, 4, 8))
    x = net.node("gelu", (0,), (1, 4, 8), approximate=False)
    graph = net.graph(net.dense(x, 3))
    with pytest.raises(UnsupportedError, match=r"gelu_0 \(gelu\): .tflite has no gelu; use ReLU"):
        export(graph, folder / "out.tflite", kind="float")
    export(graph, folder / "out.onnx", calibration=net.samples(20))
    assert "Erf" in {n.op_type for n in onnx.load(folder / "out.onnx").graph.node}


def test_a_user_sees_one_line_and_exit_code_2(folder: Path) -> None:
    done = sandgrain("export", "net.tflite", "-o", "out.tflite", cwd=folder)
    assert done.code == 2
    assert done.line.startswith("net computes with floats; give --calibration")
