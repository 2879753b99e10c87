"""`sandgrain.export`: a model as a file that other tools run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sandgrain.api import _bring, _int8
from sandgrain.api._bring import Samples
from sandgrain.api._bundles import bundle_of
from sandgrain.api._verb import verb
from sandgrain.base import files, together
from sandgrain.base.errors import ModelError, UnsupportedError, UsageError, printable
from sandgrain.base.tables import Line, Shown
from sandgrain.base.text import decibels
from sandgrain.bundle import store
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.device.run import tflm
from sandgrain.formats import c_array, sources, text
from sandgrain.formats.sources.base import require
from sandgrain.formats.tflite import read, write
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.quantization.int16 import levels, quantize_int16
from sandgrain.quantization.report import snr_db

Kind = Literal["int8", "int16", "float"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # of numbers that a file computes with
Run = Callable[[bytes, Sequence[Sequence[Array]]], list[list[Array]]]  # .tflite, samples of one array an input -> outputs
QDQ_NOTE = (
    "on x86-64 processors without VNNI, ONNX Runtime adds pairs of 8-bit products in 16 bits that saturate, and answers are then"
    " off by many steps; set the session entry session.x64quantprecision to 1 for exact ones"
)
TESTED = 100  # calibration samples, at most, that an int16 model is compared on


@dataclass(frozen=True, slots=True, repr=False)
class ExportReport(Shown):
    """What `export` wrote. `kind`: of KINDS. `snr_db`: of each output against the float model over the calibration samples, where
    something was quantized; None as well for int16 without TensorFlow Lite Micro to run it. `note`: what a user of the file has
    to know about the program that runs it, or None.
    """

    model: str
    kind: str
    files: tuple[Path, ...]
    size: int
    snr_db: tuple[float, ...] | None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        snr = None if self.snr_db is None else [v if math.isfinite(v) else None for v in self.snr_db]
        return {
            "model": self.model,
            "kind": self.kind,
            "files": [str(f) for f in self.files],
            "bytes": self.size,
            "snr_db": snr,
            "note": self.note,
        }

    def lines(self) -> list[Line]:
        found = [f"wrote {' and '.join(map(str, self.files))}: {self.model} as {self.kind}, {self.size} bytes"]
        if self.snr_db is not None:
            snr = ", ".join(decibels(v) for v in self.snr_db)
            found.insert(0, f"{self.kind} against the model of floats: {snr} dB signal to noise, over the calibration samples")
        return [*found, *([] if self.note is None else [f"note: {self.note}"])]


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A graph of the kind that was asked for, and what that cost."""

    graph: Graph
    snr_db: tuple[float, ...] | None = None


@verb
def export(
    model: Any,
    out: str | os.PathLike[str],
    *,
    calibration: Samples | None = None,
    kind: Kind | None = None,
    example_input: Any = None,
) -> ExportReport:
    """Write a model as .tflite, as ONNX, or as C++ source with a .tflite in it.

    `model`: what `sandgrain.compile` takes, or the folder of a bundle or of a project that was built.
    `out`: the file to write; its suffix says the format: .tflite, .onnx or .cc (with a header .h beside it).
    `calibration`: samples to quantize a model of floats with, as for `compile`.
    `kind`: "int8" (where nothing is said), "int16" or "float"; a quantized model stays int8.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.

    Raises ModelError or UnsupportedError, which names every layer that the format cannot hold, or UsageError; files are then as
    they were.
    """
    target = Path(out)
    writer = WRITERS.get(target.suffix.lower())
    if writer is None:
        raise UsageError(f"-o {printable(target.name)}: what to write is said by its suffix; use {', '.join(WRITERS)}")
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--as {printable(str(kind))!r} is no kind of numbers; choose {', '.join(KINDS)}")
    files.check_file(target)
    together.settle(target)
    if kind != "float":
        _int8.check_calibration(model, _name(model), calibration, example_input, ", or --as float")
    name = _name(model)
    graph = _load(model, name, example_input)
    wanted = kind or "int8"
    if not sources.is_float(graph):
        if wanted != "int8":
            raise UsageError(f"{printable(name)} is int8 already; export it from its model of floats to have it as {wanted}")
        ready = _Ready(graph)
    else:
        ready = MAKERS[wanted](graph, name, calibration)
    made = writer(ready.graph, target, f"{printable(name)}, {wanted}")
    together.write_all(made)
    note = QDQ_NOTE if target.suffix.lower() == ".onnx" and wanted == "int8" else None
    return ExportReport(printable(name), wanted, tuple(made), sum(len(data) for data in made.values()), ready.snr_db, note)


# --- the model ---------------------------------------------------------------------------------------------------------


def _name(model: Any) -> str:
    if isinstance(model, Graph):
        return model.name
    return (Path(model).stem if isinstance(model, str | os.PathLike) else type(model).__name__) or "model"


def _load(model: Any, name: str, example_input: Any) -> Graph:
    """The graph of whatever has one; of a bundle, the network that it was compiled from."""
    if not isinstance(model, str | os.PathLike) or not os.path.isdir(model):  # noqa: PTH112 - Path.is_dir raises for a NUL
        return _bring.load(model, name, example_input)
    bundle = store.load_bundle(bundle_of(Path(model)))
    if bundle.origin.model is None:
        raise UsageError(f"{printable(name)} computes features and has no network; give a bundle or a file with one")
    return text.read_any(bundle.origin.model, name)


# --- kinds -------------------------------------------------------------------------------------------------------------


def _as_float(graph: Graph, name: str, calibration: Samples | None) -> _Ready:
    return _Ready(graph)


def _as_int8(graph: Graph, name: str, calibration: Samples | None) -> _Ready:
    made = _int8.bring(graph, name, calibration=_given(calibration, name))
    return _Ready(made.graph, None if made.compared is None else made.compared.snr_db)


def _as_int16(graph: Graph, name: str, calibration: Samples | None) -> _Ready:
    inputs = _bring.reals(_given(calibration, name), graph)
    made = quantize_int16(graph, inputs)
    if not tflm.available():
        return _Ready(made)
    with tflm.TflmOracle() as oracle:
        return _Ready(made, int16_snr(graph, made, [x[:TESTED] for x in inputs], oracle.run))


def _given(calibration: Samples | None, name: str) -> Samples:
    if calibration is None:
        raise UsageError(f"{printable(name)} computes with floats; give --calibration x.npz to quantize it, or --as float")
    return calibration


MAKERS: dict[str, Callable[[Graph, str, Samples | None], _Ready]] = {"int8": _as_int8, "int16": _as_int16, "float": _as_float}


def int16_snr(graph: Graph, made: Graph, inputs: Sequence[Array], run: Run) -> tuple[float, ...]:
    """How far the 16x8 graph `made` is from the float graph: dB for each output.

    `inputs`: float32 [n, *shape] for each graph input. `run` gives the outputs of a .tflite: TensorFlow Lite Micro's.
    Raises OracleError.
    """
    quants = [made.tensors[i].quant for i in made.inputs]
    given = [x if q is None else levels(x, q) for x, q in zip(inputs, quants, strict=True)]
    rows = run(write.write(made), [[x[k] for x in given] for k in range(len(given[0]))])
    found = []
    for k, (wanted, index) in enumerate(zip(reals.outputs(graph, inputs), made.outputs, strict=True)):
        quant = made.tensors[index].quant
        values = np.stack([row[k] for row in rows])
        found.append(snr_db(wanted, values if quant is None else values * np.float32(quant.scale[0])))
    return tuple(found)


# --- formats -----------------------------------------------------------------------------------------------------------


def _as_tflite(graph: Graph) -> bytes:
    """The graph as .tflite, read back before anybody gets it. Raises UnsupportedError for what the reader would refuse."""
    data = write.write(graph)
    if any(t.dtype == "int16" and t.data is None for t in graph.tensors):
        return data  # 16x8 files are for other tools: the reader knows int8 and float alone
    try:
        (read.read_float if sources.is_float(graph) else read.read)(data, graph.name)
    except ModelError as error:
        raise UnsupportedError(f"cannot be written as .tflite, as the file would be refused when it is read: {error}") from error
    return data


def _tflite(graph: Graph, target: Path, about: str) -> dict[Path, bytes]:
    return {target: _as_tflite(graph)}


def _onnx(graph: Graph, target: Path, about: str) -> dict[Path, bytes]:
    if any(t.dtype == "int16" and t.data is None for t in graph.tensors):
        raise UsageError("--as int16 is for .tflite and .cc; export .onnx as int8 or float")
    require("onnx", "onnx", "onnx")
    from sandgrain.formats.onnx import write

    return {target: write.write(graph)}


def _c_array(graph: Graph, target: Path, about: str) -> dict[Path, bytes]:
    header = target.with_suffix(".h")
    declared, defined = c_array.write(_as_tflite(graph), f"g_{identifier(target.stem)}", f"{about}, as a .tflite", header.name)
    return {target: defined.encode(), header: declared.encode()}


WRITERS: dict[str, Callable[[Graph, Path, str], dict[Path, bytes]]] = {".tflite": _tflite, ".onnx": _onnx, ".cc": _c_array}
