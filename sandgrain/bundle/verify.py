"""Does the C do what the model says? Reference, host build, emulated firmware and TensorFlow Lite Micro, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.tables import Line, Row, Shown
from sandgrain.base.text import printable
from sandgrain.bundle.measure import firmware
from sandgrain.bundle.samples import DataSet
from sandgrain.bundle.store import Bundle
from sandgrain.compiler.emit.model import harness
from sandgrain.device.run import Emulator
from sandgrain.device.run.host import HostModel
from sandgrain.device.run.tflm import TflmOracle, available
from sandgrain.formats import text
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph

Outputs = list[Array]
Place = Literal["emulator", "host"]
RUNNERS = {
    "tflm": "TensorFlow Lite Micro",
    "host": "host build",
    "emulator": "emulated firmware",
    "stream": "firmware, as a stream",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first layer whose output differs: at `sample`, in `runner`, the byte where, and both values there."""

    runner: str
    sample: int
    layer: int | None
    op: str
    name: str
    element: int
    expected: float
    actual: float

    def __str__(self) -> str:
        where = f"layer {self.layer} ({self.op} {self.name})" if self.layer is not None else self.name
        return f"{self.runner} differs first at {where}, sample {self.sample}, element {self.element}: {self.actual:g}, reference {self.expected:g}"


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Shown):
    """`identical`: every runner gave the reference's bytes on every sample. `compared`: runner -> samples that agree.

    `accuracy`: share of samples whose label the last runner found, None without labels; of a detector, whose threshold tells
    label 0 from the others. `scores`: of a detector, what the last runner gave.
    """

    model: str
    target: str
    on: str
    samples: int
    identical: bool
    compared: dict[str, int]
    accuracy: float | None
    difference: Difference | None
    notes: tuple[str, ...] = ()
    scores: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    def rows(self) -> list[Row]:
        """The runners."""
        return [{"runner": name, "samples": self.samples, "identical": agreeing} for name, agreeing in self.compared.items()]

    def lines(self) -> list[Line]:
        found = [f"{self.model} on {self.target}: {self.samples} samples"]
        for runner, agreeing in self.compared.items():
            found.append(f"  {RUNNERS[runner]:24} {agreeing} of {self.samples} identical to the reference")
        if self.accuracy is not None:
            found.append(f"  {'accuracy':24} {100 * self.accuracy:.1f} %")
        return [*found, *(f"note: {note}" for note in self.notes)]


def check_place(on: str) -> None:
    """Raises UsageError unless `on` is one of Place."""
    if on not in get_args(Place):
        raise UsageError(f"--on {printable(str(on))!r} is not a place to run; choose host or emulator")


def compare_with_reference(
    bundle: Bundle, data: DataSet, on: str = "emulator", *, oracle: bool = True, progress: Progress = silent
) -> Verdict:
    """Run every sample everywhere and compare with the reference interpreter.

    `on`: "host" (the C compiled for this computer) or "emulator" (that, and the cross-compiled firmware on its core).
    `oracle`: compare with TensorFlow Lite Micro too, where its wheel is installed. `progress` is told what runs, and samples done.
    """
    check_place(on)
    reference = _reference(bundle.compiled.imported, data, progress)
    runners: dict[str, list[Array]] = {}
    notes = [f"{bundle.code.name} or a kernel was edited after it was generated"] if bundle.edited else []
    if bundle.origin.model is None:
        pass  # features have no other runtime to be held against
    elif text.is_text(bundle.origin.model):
        notes.append("not compared with TensorFlow Lite Micro: it has no such model")
    elif oracle and available():
        runners["tflm"] = _tflm(bundle, data)
    elif oracle:
        notes.append("not compared with TensorFlow Lite Micro: pip install tflite-micro")
    # The emulator first: C that writes where it must not is reported there, and would take this process with it here.
    emulated = _emulated(bundle, data, progress) if on == "emulator" and bundle.board.core.runs_firmware else None
    streams = bundle.compiled.source.plan.stream is not None
    streamed = _emulated(bundle, data, progress, stream=True) if streams and emulated is not None else None
    host = HostModel(bundle.code, bundle.compiled.graph, harness(bundle.compiled.source))
    runners["host"] = host.run(data.inputs)
    if streamed is not None:
        runners["stream"] = streamed
    if emulated is not None:
        runners["emulator"] = emulated
    compared = {name: _agreeing(reference, outputs) for name, outputs in runners.items()}
    wrong = [name for name, count in compared.items() if count < data.samples]
    difference = _difference(bundle, data, reference, wrong[-1], runners[wrong[-1]]) if wrong else None
    last, threshold = list(runners.values())[-1], bundle.compiled.source.options.threshold
    return Verdict(
        bundle.build.title, bundle.board.name, on, data.samples, not wrong, compared, _accuracy(last, data, threshold), difference,
        tuple(notes), None if threshold is None else tuple(last[0].reshape(-1).tolist()),
    )  # fmt: skip


def _firmware(bundle: Bundle, *, stream: bool = False) -> AbstractContextManager[Emulator]:
    return firmware(bundle.build, stream=stream)


def _stack(rows: Sequence[Sequence[Array]]) -> list[Array]:
    """Per-sample outputs to one array an output."""
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _reference(graph: Graph, data: DataSet, progress: Progress) -> list[Array]:
    rows = []
    for s in range(data.samples):
        rows.append(interpret.run(graph, [x[s] for x in data.inputs]))
        progress("running the reference", s + 1, data.samples)
    return _stack(rows)


def _tflm(bundle: Bundle, data: DataSet) -> list[Array]:
    """TensorFlow Lite Micro's outputs; where there is a front end it is given the features of the reference."""
    model, graph = bundle.origin.model, bundle.compiled.imported
    assert model is not None
    samples = [[x[s] for x in data.inputs] for s in range(data.samples)]
    if bundle.origin.front is not None:
        features = bundle.origin.front.graph()
        samples = [interpret.run(features, sample) for sample in samples]
    with TflmOracle() as oracle:
        rows = oracle.run(model, samples)
    shapes = [graph.tensors[i].shape for i in graph.outputs]
    return [c.reshape(-1, *shape) for c, shape in zip(_stack(rows), shapes, strict=True)]


def _emulated(bundle: Bundle, data: DataSet, progress: Progress, *, stream: bool = False) -> list[Array]:
    """The firmware's outputs; `stream`: each sample is pushed in pieces into a stream that begins with it."""
    graph = bundle.compiled.graph
    with _firmware(bundle, stream=stream) as core:
        rows = []
        for s in range(data.samples):
            raw = core.infer(graph.packed([x[s] for x in data.inputs]))
            rows.append(
                [graph.tensors[i].dtype.unpack(b, graph.tensors[i].shape) for b, i in zip(raw, graph.outputs, strict=True)]
            )
            progress("running the firmware", s + 1, data.samples)
    return _stack(rows)


def _same(a: Array, b: Array) -> Array:
    """Per sample: are the bytes the same? (NaNs count as equal to themselves.)"""
    n = len(a)
    equal: npt.NDArray[np.bool_] = np.asarray(a == b)
    if a.dtype.kind == "f":
        equal = np.asarray(np.logical_or(equal, np.isnan(a) & np.isnan(b)))
    same: Array = np.asarray(equal.reshape(n, -1).all(axis=1))
    return same


def _agreeing(reference: Sequence[Array], outputs: Sequence[Array]) -> int:
    agree = np.ones(len(reference[0]), bool)
    for a, b in zip(reference, outputs, strict=True):
        agree &= _same(a, b)
    return int(agree.sum())


def _accuracy(outputs: Sequence[Array], data: DataSet, threshold: int | None) -> float | None:
    if data.labels is None:
        return None
    flat = outputs[0].reshape(data.samples, -1)
    if threshold is not None:
        return float(np.mean((flat[:, 0] > threshold) == (data.labels != 0)))
    found = flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0]
    return float(np.mean(found == data.labels))


def _difference(bundle: Bundle, data: DataSet, reference: Sequence[Array], runner: str, outputs: Sequence[Array]) -> Difference:
    """Follow the first sample that differs layer by layer."""
    agree = np.ones(data.samples, bool)
    for a, b in zip(reference, outputs, strict=True):
        agree &= _same(a, b)
    sample = int(np.argmin(agree))
    inputs = [x[sample] for x in data.inputs]
    graph = bundle.compiled.graph
    layers = [layer for layer in bundle.compiled.source.layers if layer.reads]  # a stream's front leaves nothing whole to read
    if runner != "tflm":
        values = interpret.trace(graph, inputs)
        reads = [layer.reads for layer in layers]
        if runner == "host":  # a stream that differs is looked for in the whole window: both run the same layers
            host = HostModel(bundle.code, graph, harness(bundle.compiled.source), trace=True)
            seen = host.trace(inputs, reads, _arena_offset(bundle))
        else:
            with _firmware(bundle) as core:
                raw = graph.packed(inputs)
                layers = [layer for layer in layers if layer.index in core.image.layers()]  # the others change nothing
                base = core.outputs[0].address - _arena_offset(bundle)
                wanted = {layer.index: [(base + offset, size) for _, offset, size in layer.reads] for layer in layers}
                traced = core.trace(raw, wanted)
                seen = [traced[layer.index] for layer in layers]
        for layer, chunks in zip(layers, seen, strict=True):
            for (tensor, _, _), chunk in zip(layer.reads, chunks, strict=True):
                expected = values[tensor]
                assert expected is not None
                actual = graph.tensors[tensor].dtype.unpack(chunk, expected.shape)
                found = _first(expected.reshape(-1), actual.reshape(-1))
                if found is not None:
                    return Difference(runner, sample, layer.index, layer.op, printable(layer.name), *found)
    for k, (a, b) in enumerate(zip(reference, outputs, strict=True)):
        found = _first(a[sample].reshape(-1), b[sample].reshape(-1))
        if found is not None:
            return Difference(runner, sample, None, "", f"output {k}", *found)
    raise AssertionError("the outputs differ, and then do not")


def _arena_offset(bundle: Bundle) -> int:
    """Offset of output 0 in the arena: the runners know the output's address, so the arena's base follows."""
    graph = bundle.compiled.graph
    return bundle.compiled.source.plan.offsets[graph.outputs[0]]


def _first(expected: Array, actual: Array) -> tuple[int, float, float] | None:
    same = _same(expected.reshape(-1, 1), actual.reshape(-1, 1))
    if same.all():
        return None
    k = int(np.argmin(same))
    return k, float(expected[k]), float(actual[k])
