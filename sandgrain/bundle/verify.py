"""Does the C do what the model says? Reference, host build, emulated firmware and TensorFlow Lite Micro, byte for byte.

The C is first made again from the bundle's proof. What is the same is built from what was made, not from the folder, so that nothing
else in the folder takes part; what was edited is built only where that is asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import printable
from sandgrain.bundle import oracle as oracles
from sandgrain.bundle import sequence
from sandgrain.bundle.alone import Drawn, called, compared, drawn, layers_alone, spread
from sandgrain.bundle.fresh import Values, fresh, still
from sandgrain.bundle.runners import Board, Host, Job
from sandgrain.bundle.samples import DataSet
from sandgrain.bundle.store import Bundle
from sandgrain.bundle.verdict import Difference, Place, Verdict, check_place, conclusion
from sandgrain.compiler.emit.layers import Layer
from sandgrain.compiler.emit.proving import APART, PIECES, WHOLE, ways
from sandgrain.device.run.host_process import Left
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.states import STATE

LAYERED = 64  # samples at most whose layers are compared here
EMULATED = 4  # samples at most whose layers are compared on the core, where the host compares them all
CHECKED = 2  # samples that run in buffers of the caller's
SEEDS = 1 << 32


@dataclass(frozen=True, slots=True)
class How:
    """`on`: "host" (the C compiled for this computer), "emulator" (the firmware on its core; nothing of the C runs natively) or "both".

    `oracle`: compare with TensorFlow Lite Micro too, where its wheel is installed. `edited`: take C that was edited as it is.
    `seed`: of samples and checks, None for a new one.
    """

    on: Place = "both"
    oracle: bool = True
    edited: bool = False
    seed: int | None = None


@dataclass(slots=True, eq=False)
class Found:
    """What the runners gave, against the reference."""

    compared: dict[str, int] = field(default_factory=dict)
    difference: Difference | None = None
    last: list[Array] = field(default_factory=list)  # the outputs of the last runner
    calls: dict[str, int] = field(default_factory=dict)  # runner -> calls in drawn order

    def take(self, name: str, agree: npt.NDArray[np.bool_], difference: Difference | None) -> None:
        self.compared[name] = min(self.compared.get(name, len(agree)), int(agree.sum()))
        self.difference = self.difference or difference


def compare_with_reference(bundle: Bundle, data: DataSet | int, how: How | None = None, progress: Progress = silent) -> Verdict:
    """Run every sample everywhere and compare outputs and layers with the reference interpreter, helpers with Python's.

    `data`: the samples, or how many are made. `progress` is told what runs, and samples done.
    """
    how = how or How()
    check_place(how.on)
    seed = secrets.randbelow(SEEDS) if how.seed is None else how.seed
    if bundle.edited and not how.edited:
        return _refused(bundle, data, how.on, seed)
    return Comparison(bundle, how, seed, progress).verdict(data)


def _refused(bundle: Bundle, data: DataSet | int, on: str, seed: int) -> Verdict:
    """C that is not ours is not run unasked."""
    samples = data if isinstance(data, int) else data.samples
    verdict = Verdict(bundle.build.title, bundle.board.name, on, samples, False, {}, None, None, seed=seed, edited=bundle.changes)
    return replace(verdict, conclusion=conclusion(verdict, bundle.board.core.name))


class Comparison:
    """One run of `verify`."""

    def __init__(self, bundle: Bundle, how: How, seed: int, progress: Progress) -> None:
        self.bundle, self.how, self.seed, self.progress = bundle, how, seed, progress
        self.graph, self.imported = bundle.compiled.graph, bundle.compiled.imported
        build = bundle.build if bundle.edited else replace(bundle.build, folder=None)
        job = Job(build, bundle.compiled.source.checks(seed))
        self.alone = layers_alone(job)
        self.job = replace(job, feeds=tuple(fed for one in self.alone for fed in one.feeds))

    def verdict(self, data: DataSet | int) -> Verdict:
        source, notes = self.bundle.compiled.source, list[str]()
        if isinstance(data, int):
            made = fresh(self.imported, self.graph, data, self.seed, source.macs, self.progress)
            samples, values = made.data, made.values
        else:
            samples = data
            values = [interpret.trace(self.graph, [x[s] for x in data.inputs]) for s in range(min(data.samples, LAYERED))]
        reference = _reference(self.imported, samples, self.progress)
        found = Found(last=reference)
        view = (
            oracles.opinion(self.bundle.origin, self.imported, samples)
            if self.how.oracle
            else oracles.none("it was not asked for (--no-oracle)")
        )
        self._opinion(view, reference, found)
        if self.how.oracle and not view.asked and self.bundle.origin.model is not None:
            notes.append(f"not compared with TensorFlow Lite Micro: {view.says.removeprefix('none: ')}")
        for runner in self._runners():
            self.ran(runner, samples, reference, values, found)
        notes += self._still(values)
        threshold = source.options.threshold
        verdict = Verdict(
            model=self.bundle.build.title,
            target=self.bundle.board.name,
            on=self.how.on,
            samples=samples.samples,
            identical=found.difference is None,
            compared=found.compared,
            accuracy=_accuracy(found.last, samples, threshold),
            difference=found.difference,
            notes=tuple(notes),
            scores=None if threshold is None else tuple(found.last[0].reshape(-1).tolist()),
            seed=self.seed,
            edited=self.bundle.changes,
            layers=len(self.job.layers),
            checks=len(self.job.checks),
            oracle=view.says,
            alone=len(self.alone),
            calls=sum(found.calls.values()),
            state=STATE if self.imported.restarts else "",
        )
        return replace(verdict, conclusion=conclusion(verdict, self.bundle.board.core.name))

    def _runners(self) -> list[Host | Board]:
        """The emulator first: C that writes where it must not is reported there with its layer."""
        firmware = self.bundle.board.core.runs_firmware
        if self.how.on == "emulator" and not firmware:
            raise UsageError(f"{self.bundle.board.name} has no firmware to emulate; use --on host")
        boards = [Board(self.job)] if self.how.on != "host" and firmware else []
        return [*boards, *([Host(self.job)] if self.how.on != "emulator" else [])]

    def _opinion(self, view: oracles.Opinion, reference: list[Array], found: Found) -> None:
        if view.outputs is not None:
            agree = _agree(reference, view.outputs)
            found.take("tflm", agree, self._output_difference("tflm", reference, view.outputs, agree))
        elif view.wrong:
            nan = float("nan")
            found.take("tflm", np.zeros(len(reference[0]), bool), Difference("tflm", 0, None, "", view.wrong, 0, nan, nan))

    # --- one runner ------------------------------------------------------------------------------------------------------------

    def ran(self, runner: Host | Board, data: DataSet, reference: list[Array], values: list[Values], found: Found) -> None:
        """Everything that a runner can be asked."""
        packed = [self.graph.packed([x[s] for x in data.inputs]) for s in range(data.samples)]
        whole = runner.run(packed, WHOLE, self.progress)
        given = self._outputs(whole)
        agree = _agree(reference, given)
        limit = EMULATED if isinstance(runner, Board) and self.how.on == "both" else len(values)
        left = [one.layers for one in whole] if isinstance(runner, Host) else runner.layers(packed[:limit])
        wrong = self._layer_difference(runner.name, left[:limit], values, agree)
        if wrong is None and not agree.all():
            wrong = self._traced_difference(runner, data, packed, agree)
            wrong = wrong or self._output_difference(runner.name, reference, given, agree)
        found.take(runner.name, agree, wrong)
        found.last = given
        if self.alone and found.difference is None:
            self._own_inputs(runner, agree, found)
        self._apart(runner, packed[:CHECKED], reference, found)
        if PIECES in ways(self.bundle.compiled.source):
            pieces = self._outputs(runner.run(packed, PIECES, self.progress))
            agree = _agree(reference, pieces)
            found.take("stream", agree, self._output_difference("stream", reference, pieces, agree))
        if found.difference is None:
            self._again(runner, packed, reference, whole, found)

    def _again(
        self, runner: Host | Board, packed: list[list[bytes]], reference: list[Array], whole: list[Left], found: Found
    ) -> None:
        """The same samples in one process once more, in an order and by ways that are drawn, each after others: what the C keeps from
        one call to the next shows."""
        known = ways(self.bundle.compiled.source)
        if isinstance(runner, Host):
            order = sequence.on_host(len(packed), known, self.job, np.random.default_rng((self.seed, 2)))
        else:
            order = sequence.on_board(len(packed), known)
        left = runner.called([(packed[s], way) for s, way in order])
        given = self._outputs(left)
        agree, wrong = np.ones(len(packed), bool), None
        for call, (s, way) in enumerate(order):
            same = _agree([y[s : s + 1] for y in reference], [y[call : call + 1] for y in given])
            one = self._output_difference(
                runner.name, [y[s : s + 1] for y in reference], [y[call : call + 1] for y in given], same
            )
            if one is None and way == APART:
                one = self._check_difference(runner.name, s, left[call].outputs[-1])
            if one is None and way == WHOLE and left[call].layers:
                one = self._left_otherwise(runner.name, whole[s].layers, left[call].layers)
            agree[s] &= one is None
            if one is not None and wrong is None:
                wrong = replace(
                    one, sample=s, name=f"{one.name} (right at first, not in call {call} of one process after others)"
                )
        found.calls[runner.name] = len(order)
        found.take(runner.name, agree, wrong)

    def _left_otherwise(self, runner: str, first: Sequence[bytes | None], again: Sequence[bytes | None]) -> Difference | None:
        """The first layer that left other bytes than when the sample ran before."""
        for (layer, tensor), a, b in zip(self.job.tensors, first, again, strict=True):
            if a != b and a is not None:
                t = self.graph.tensors[tensor]
                return self._piece_difference(runner, 0, (layer, tensor), b, t.dtype.unpack(a, t.shape))
        return None

    def _outputs(self, left: Sequence[Left]) -> list[Array]:
        """The model's outputs, each [n, ...]."""
        tensors = [self.graph.tensors[i] for i in self.graph.outputs]
        return [np.stack([t.dtype.unpack(one.outputs[k], t.shape) for one in left]) for k, t in enumerate(tensors)]

    def _apart(self, runner: Host | Board, packed: list[list[bytes]], reference: list[Array], found: Found) -> None:
        """Buffers of the caller's, and the checks."""
        first = [y[: len(packed)] for y in reference]
        left = runner.run(packed, APART, self.progress)
        given = self._outputs(left)
        agree = np.ones(len(reference[0]), bool)
        agree[: len(packed)] = _agree(first, given)
        wrong = self._output_difference(runner.name, first, given, agree[: len(packed)])
        for s, one in enumerate(left):
            wrong = wrong or self._check_difference(runner.name, s, one.outputs[-1])
        agree[0] &= wrong is None
        found.take(runner.name, agree, wrong)

    def _own_inputs(self, runner: Host | Board, agree: npt.NDArray[np.bool_], found: Found) -> None:
        """Each layer on inputs of its own."""
        wrong = self._alone_difference(runner) if isinstance(runner, Host) else self._called_difference(runner)
        agree[0] &= wrong is None
        found.take(runner.name, agree, wrong)

    def _alone_difference(self, runner: Host) -> Difference | None:
        given = self._drawn
        left = runner.fed(given.inputs, given.feeds)
        places = {(layer.index, tensor): k for k, (layer, tensor) in enumerate(self.job.tensors)}
        for r, layer, tensor, expected in compared(self.alone, given):
            piece = left[r][places[layer.index, tensor]]
            wrong = self._own_difference(runner.name, r, (layer, tensor), piece, expected)
            if wrong is not None:
                return wrong
        return None

    def _called_difference(self, runner: Board) -> Difference | None:
        """The same on a board, where each layer is called by itself on some of its rounds."""
        given, asked, rounds = self._drawn, [], []
        for one in self.alone:
            own = given.fed[one.layer.index]
            chosen = spread(len(own), called(one, runner.moves // len(self.alone), self.bundle.compiled.source.plan.arena_bytes))
            if runner.callable(one.layer):
                asked.append((one, [own[r] for r in chosen]))
                rounds += [(r, one.layer) for r in chosen]
        left = runner.calls(asked, np.random.default_rng((self.seed, 2)))
        for (r, layer), pieces in zip(rounds, left, strict=True):
            for (tensor, _, _), piece, expected in zip(layer.reads, pieces, given.expected[layer.index][r], strict=True):
                wrong = self._own_difference(runner.name, r, (layer, tensor), piece, expected)
                if wrong is not None:
                    return wrong
        return None

    def _own_difference(
        self, runner: str, number: int, place: tuple[Layer, int], piece: bytes | None, expected: Array
    ) -> Difference | None:
        wrong = self._piece_difference(runner, number, place, piece, expected)
        return None if wrong is None else replace(wrong, name=f"{wrong.name}, given inputs of its own")

    @cached_property
    def _drawn(self) -> Drawn:
        return drawn(self.job, self.alone, self.seed)

    def _check_difference(self, runner: str, sample: int, answers: bytes) -> Difference | None:
        place = 0
        for check in self.job.checks:
            actual = np.frombuffer(answers[place : place + check.expected.nbytes], check.expected.dtype)
            place += check.expected.nbytes
            at = _first(check.expected.reshape(-1), actual)
            if at is not None:
                return Difference(runner, sample, None, "", check.says, *at)
        return None

    def _layer_difference(
        self, runner: str, left: Sequence[list[bytes | None]], values: Sequence[Values], agree: npt.NDArray[np.bool_]
    ) -> Difference | None:
        """The first sample and layer that differs. Samples with one no longer count as agreeing."""
        first = None
        for s, (pieces, expected) in enumerate(zip(left, values, strict=False)):
            wrong = self._sample_difference(runner, s, pieces, expected)
            agree[s] &= wrong is None
            first = first or wrong
        return first

    def _sample_difference(self, runner: str, sample: int, pieces: Sequence[bytes | None], values: Values) -> Difference | None:
        for place, piece in zip(self.job.tensors, pieces, strict=True):
            expected = values[place[1]]
            assert expected is not None
            wrong = self._piece_difference(runner, sample, place, piece, expected)
            if wrong is not None:
                return wrong
        return None

    def _piece_difference(
        self, runner: str, sample: int, place: tuple[Layer, int], piece: bytes | None, expected: Array
    ) -> Difference | None:
        """What a layer left in one tensor, None where it did not run."""
        layer, tensor = place
        if piece == self.graph.tensors[tensor].dtype.pack(expected):
            return None
        at: tuple[int, float, float] | None = (0, float(expected.reshape(-1)[0]), float("nan"))
        if piece is not None:
            actual = self.graph.tensors[tensor].dtype.unpack(piece, expected.shape)
            at = _first(expected.reshape(-1), actual.reshape(-1))
        return None if at is None else Difference(runner, sample, layer.index, layer.op, printable(layer.name), *at)

    def _traced_difference(
        self, runner: Host | Board, data: DataSet, packed: list[list[bytes]], agree: npt.NDArray[np.bool_]
    ) -> Difference | None:
        """Follow the first sample whose output differs layer by layer, where it was not among those whose layers were compared."""
        sample = int(np.argmin(agree))
        values = interpret.trace(self.graph, [x[sample] for x in data.inputs])
        wrong = self._sample_difference(runner.name, 0, runner.layers(packed[sample : sample + 1])[0], values)
        return None if wrong is None else replace(wrong, sample=sample)

    def _output_difference(
        self, runner: str, reference: list[Array], given: list[Array], agree: npt.NDArray[np.bool_]
    ) -> Difference | None:
        if agree.all():
            return None
        sample = int(np.argmin(agree))
        for k, (a, b) in enumerate(zip(reference, given, strict=True)):
            at = _first(a[sample].reshape(-1), b[sample].reshape(-1))
            if at is not None:
                return Difference(runner, sample, None, "", f"output {k}", *at)
        return None

    def _still(self, values: Sequence[Values]) -> list[str]:
        """A note on layers that no sample moved: what is wrong in them may not show."""
        if len(values) < 2:
            return []
        nodes = still(self.graph, values)
        names = ", ".join(f"{k} ({self.graph.nodes[k].op})" for k in nodes[:5])
        more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
        return [f"the samples leave layers {names}{more} at one value; what is wrong there may not show"] if nodes else []


# --- comparing -------------------------------------------------------------------------------------------------------------------


def _reference(graph: Graph, data: DataSet, progress: Progress) -> list[Array]:
    rows = []
    for s in range(data.samples):
        rows.append(interpret.run(graph, [x[s] for x in data.inputs]))
        progress("running the reference", s + 1, data.samples)
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _same(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Per sample: are the bytes the same? (NaNs count as equal to themselves.)"""
    equal: npt.NDArray[np.bool_] = np.asarray(a == b)
    if a.dtype.kind == "f":
        equal = np.asarray(np.logical_or(equal, np.isnan(a) & np.isnan(b)))
    same: npt.NDArray[np.bool_] = np.asarray(equal.reshape(len(a), -1).all(axis=1))
    return same


def _agree(reference: Sequence[Array], outputs: Sequence[Array]) -> npt.NDArray[np.bool_]:
    agree = np.ones(len(reference[0]), bool)
    for a, b in zip(reference, outputs, strict=True):
        agree &= _same(a, b)
    return agree


def _accuracy(outputs: Sequence[Array], data: DataSet, threshold: int | None) -> float | None:
    if data.labels is None:
        return None
    flat = outputs[0].reshape(data.samples, -1)
    if threshold is not None:
        return float(np.mean((flat[:, 0] > threshold) == (data.labels != 0)))
    found = flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0]
    return float(np.mean(found == data.labels))


def _first(expected: Array, actual: Array) -> tuple[int, float, float] | None:
    """The first element that differs, and both values."""
    same = _same(expected.reshape(-1, 1), actual.reshape(-1, 1))
    if same.all():
        return None
    k = int(np.argmin(same))
    return k, float(expected[k]), float(actual[k])
