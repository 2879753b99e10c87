"""Where a bundle's C is run for `verify`: a child process here, and the emulated core. Each answers with bytes, layer by layer."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import tee

import numpy as np

from sandgrain.base.errors import RunError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.scratch import folder as temporary_folder
from sandgrain.base.scratch import scratch
from sandgrain.bundle.guards import guards, written
from sandgrain.bundle.measure import Build, emulated
from sandgrain.compiler.emit import bundle as emitted
from sandgrain.compiler.emit.layers import Layer
from sandgrain.compiler.emit.part import Check
from sandgrain.compiler.emit.proving import WHOLE, WORD, checked_bytes, proving
from sandgrain.device.run import Emulator
from sandgrain.device.run.host_process import HostProcess, Left, Reads, Sizes
from sandgrain.device.run.trace import GUARD

SECONDS = 0.5  # of computing that any sample may take on this computer, and one more for so many MACs:
MACS = 5_000_000
BESIDE = 256  # bytes before and behind the arena on a board that no layer may write
Packed = Sequence[list[bytes]]  # samples, each the bytes of its inputs
Calls = Sequence[tuple[list[bytes], int]]  # a sample and the way by which it is entered


@dataclass(frozen=True, slots=True)
class Fed:
    """Bytes that can be written to the arena before a layer: `after` which layer, -1 for none; the tensor there, its offset and size."""

    after: int
    tensor: int
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A layer that can be fed. `rounds`: how many inputs are drawn for it; later rounds of the model take them again."""

    layer: Layer
    feeds: tuple[Fed, ...]
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What is run: a build, whose folder holds the C where it was edited, and the checks of what it offers beside an inference."""

    build: Build
    checks: list[Check]
    feeds: tuple[Fed, ...] = ()

    @property
    def layers(self) -> list[Layer]:
        """The layers whose output can be read; a stream's front leaves nothing whole."""
        return [layer for layer in self.build.compiled.source.layers if layer.reads]

    @property
    def tensors(self) -> list[tuple[Layer, int]]:
        """Each output of each such layer, in the order in which they run."""
        return [(layer, tensor) for layer in self.layers for tensor, _, _ in layer.reads]

    @property
    def output_offset(self) -> int:
        """Where output 0 lies in the arena: the runners know its address, so the arena's follows."""
        graph = self.build.compiled.graph
        return self.build.compiled.source.plan.offsets[graph.outputs[0]]

    @property
    def text(self) -> str:
        """The harness that enters by every way."""
        return proving(self.build.compiled.source, self.checks)


def seconds_a_sample(macs: int) -> float:
    """Of computing on this computer, at most, for a model of so many MACs."""
    return SECONDS + macs / MACS


def word(way: int) -> bytes:
    """The last input of the harness."""
    return way.to_bytes(WORD, "little")


class Host:
    """The C compiled for this computer, each run in a child process with limits."""

    name = "host"
    process = HostProcess

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def _process(self) -> HostProcess:
        job = self.job
        compiled, graph = job.build.compiled, job.build.compiled.graph
        ins, outs = ([graph.tensors[i].nbytes for i in ports] for ports in (graph.inputs, graph.outputs))
        sizes = Sizes((*ins, WORD), (*outs, checked_bytes(job.checks)))
        places = tuple((layer.index, o, n) for layer in job.layers for _, o, n in layer.reads)
        feeds = tuple((f.after, f.offset, f.nbytes) for f in job.feeds)
        reads = Reads(places, job.output_offset, feeds, compiled.source.plan.arena_bytes, guards(compiled.source))
        seconds = seconds_a_sample(compiled.source.macs)
        with scratch() as work:
            folder = job.build.folder or work
            if job.build.folder is None:
                emitted.write(compiled.source, folder)
            return self.process(folder / compiled.source.options.c_file, job.text, sizes, reads, seconds)

    def run(self, samples: Packed, way: int, progress: Progress = silent) -> list[Left]:
        """Every sample, entered by one way. Raises RunError or ToolchainError."""
        progress("running the host build", 0, len(samples))
        left = self.called([(sample, way) for sample in samples])
        progress("running the host build", len(samples), len(samples))
        return left

    def called(self, calls: Calls) -> list[Left]:
        """Samples one after another in one process, each entered by its own way."""
        return self._process.run([[*sample, word(way)] for sample, way in calls])

    def fed(self, samples: Packed, feeds: Sequence[bytes]) -> list[list[bytes | None]]:
        """What each layer left, of each sample, which brings what is written to the arena on the way (`Job.feeds`)."""
        asked = [[*sample, word(WHOLE)] for sample in samples]
        return [left.layers for left in self._process.run(asked, feeds)]

    def layers(self, samples: Packed) -> list[list[bytes | None]]:
        """What each layer left, of each sample."""
        return [left.layers for left in self.run(samples, WHOLE)]


class Board:
    """The firmware on the board's emulated core. Nothing of it runs on this computer."""

    name = "emulator"

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self, samples: Packed, way: int, progress: Progress = silent) -> list[Left]:
        """Every sample, entered by one way. Raises RunError, ToolchainError, or UsageError where the core cannot be emulated."""
        if way == WHOLE:
            return [Left(outputs, []) for outputs in _infer(self._plain, samples, progress)]
        return self.called([(sample, way) for sample in samples], progress)

    def called(self, calls: Calls, progress: Progress = silent) -> list[Left]:
        """Samples one after another on a core that is started once, each entered by its own way."""
        asked = [[*sample, word(way)] for sample, way in calls]
        return [Left(outputs, []) for outputs in _infer(self._entering, asked, progress)]

    def layers(self, samples: Packed) -> list[list[bytes | None]]:
        """What each layer left, of each sample; None from the first on that did not run."""
        job, core, found = self.job, self._plain, []
        base, known = core.outputs[0].address - job.output_offset, core.image.layers()
        wanted: dict[int, list[tuple[int, int]]] = {}
        stops = []  # where each layer's outputs are read, and from which piece on
        stop = -1
        for y in job.layers:  # one that changes nothing where it lies has no code: it is read where the layer before it ends
            stop = y.index if y.index in known or stop < 0 else stop
            begun = wanted.setdefault(stop, []) if stop in known else []
            stops.append((stop, len(begun)))
            begun += [(base + o, n) for _, o, n in y.reads]
        for sample in samples:
            seen = _traced(core, sample, wanted)
            pieces = [(seen.get(k), at, len(y.reads)) for (k, at), y in zip(stops, job.layers, strict=True)]
            found.append([p for all_of, at, n in pieces for p in (all_of[at : at + n] if all_of else [None] * n)])
        return found

    def calls(self, asked: Sequence[tuple[Alone, Sequence[bytes]]], noise: np.random.Generator) -> Iterator[list[bytes]]:
        """Layers' functions called by themselves, each once for every one of the bytes that its inputs are: its outputs.

        The rest of the arena, and what lies around it, holds noise. Raises RunError where a layer writes what is not its own.
        """
        core, plan = self._plain, self.job.build.compiled.source.plan
        arena = core.outputs[0].address - self.job.output_offset
        start = max(arena - BESIDE, self.job.build.board.ram_base)
        end = min(arena + plan.arena_bytes + BESIDE, core.image.symbols["sg_stack_limit"] + GUARD)
        memories = (_laid(alone.feeds, one, arena - start, noise.bytes(end - start)) for alone, fed in asked for one in fed)
        layers = [alone.layer for alone, fed in asked for _ in fed]
        put, kept = tee(memories)
        after = core.call_layers(arena, start, zip((layer.index for layer in layers), put, strict=True))
        for layer, was, now in zip(layers, kept, after, strict=True):
            astray = _astray(was, now, [(arena - start + offset, size) for offset, size in written(plan, layer.index)])
            if astray is not None:
                where = f"{core.image.layers()[layer.index].name} writes to {start + astray:#010x}"
                raise RunError(f"{where}, which is not its own; what another layer or the program keeps there would be spoilt")
            yield [now[arena - start + o :][:n] for _, o, n in layer.reads]

    def callable(self, layer: Layer) -> bool:
        """Whether a layer is a function of its own: one that changes nothing where it lies is not."""
        return layer.index in self._plain.image.layers()

    @property
    def moves(self) -> int:
        """Bytes that `calls` moves in about a second."""
        return self._plain.moves

    @cached_property
    def _plain(self) -> Emulator:
        """The firmware as it is measured: the board's own memory, and no more."""
        return self._opened(self.job.build, None)

    @cached_property
    def _entering(self) -> Emulator:
        """With buffers for the checks, which a board may have no room for: Unicorn's has more memory."""
        build = self.job.build
        return self._opened(build.roomy if build.board.core.emulator == "unicorn" else build, self.job.text)

    def _opened(self, build: Build, text: str | None) -> Emulator:
        work = temporary_folder()
        weakref.finalize(self, shutil.rmtree, work, ignore_errors=True)
        return emulated(build, work / "firmware.elf", text)


def _laid(feeds: Sequence[Fed], fed: bytes, base: int, memory: bytes) -> bytes:
    """Memory with a layer's inputs in their places."""
    laid, at = bytearray(memory), 0
    for one in feeds:
        laid[base + one.offset : base + one.offset + one.nbytes] = fed[at : at + one.nbytes]
        at += one.nbytes
    return bytes(laid)


def _astray(was: bytes, now: bytes, written: Sequence[tuple[int, int]]) -> int | None:
    """The first byte that changed and may not have. `written`: (start, size) of what may."""
    expected = bytearray(was)
    for start, size in written:
        expected[start : start + size] = now[start : start + size]
    if expected == now:
        return None
    return next(k for k, (a, b) in enumerate(zip(expected, now, strict=True)) if a != b)


def _infer(core: Emulator, samples: Packed, progress: Progress) -> Iterator[list[bytes]]:
    for s, sample in enumerate(samples):
        yield core.infer(sample)
        progress("running the firmware", s + 1, len(samples))


def _traced(core: Emulator, sample: list[bytes], wanted: dict[int, list[tuple[int, int]]]) -> dict[int, list[bytes | None]]:
    try:
        return {k: list(pieces) for k, pieces in core.trace(sample, wanted).items()}
    except RunError:  # the sample ran before: a layer was not come by, and those behind it cannot be told apart
        return {}
