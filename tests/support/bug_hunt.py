"""Does `verify` notice a change in a bundle's C? One bundle is made, its samples once; each change is one compiler run on a copy.

What `verify` compares is asked of its own code (`Comparison`), on the samples that it draws by default. Whether a change has any
effect is asked of many samples of other kinds (`others`), against the answers of the C that nobody changed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from sandgrain.base.errors import RunError, ToolchainError
from sandgrain.base.progress import silent
from sandgrain.bundle.fresh import Fresh, fresh
from sandgrain.bundle.runners import Board, Host, Job, word
from sandgrain.bundle.store import Bundle, load_bundle
from sandgrain.bundle.verify import Comparison, Found, How
from sandgrain.compiler.emit.proving import WHOLE
from sandgrain.device.run.host_process import HostProcess
from sandgrain.graph.ir import Array, Graph, Tensor
from tests.support.spoiled import Spoil

DEFAULT = 10  # samples that `verify` makes where none are given
OTHERS = 240  # samples of other kinds
OURS = ("before", "harness", "driver")  # what `HostProcess` compiles beside the model
CC = ("cc", "-std=c99", "-fPIC", "-w", "-Og", "-ffp-contract=off", "-DSG_ANY_CORE")


def compiler() -> bool:
    """Whether this computer has the compiler that hunts are quick with."""
    return shutil.which("cc") is not None


# The samples, run by a library that counts lines.
COVER = """
import ctypes, sys
library, given = ctypes.CDLL(sys.argv[1]), sys.stdin.buffer.read()
out, left = (ctypes.create_string_buffer(int(sys.argv[3])) for _ in range(2))
assert library.sg_run_all(ctypes.c_char_p(given), out, left, ctypes.c_int64(int(sys.argv[2])), ctypes.c_int64(0)) == 0
"""


class Unbuilt(HostProcess):
    """What `verify` would compile, not compiled."""

    def _build(self, sources: Sequence[Path], trace: Path) -> None:
        pass


class Built(HostProcess):
    """A library that was compiled elsewhere, in the place of that of `like`."""

    def __init__(self, like: HostProcess, library: Path) -> None:
        self.code, self.sizes, self.reads, self.seconds, self.base = like.code, like.sizes, like.reads, like.seconds, 2
        self._work, self._library = like._work, library


class Ready(Host):
    """A host build that is there already, or is made otherwise."""

    process = Unbuilt

    def __init__(self, job: Job, process: HostProcess | None = None) -> None:
        super().__init__(job)
        if process is not None:
            self.__dict__["_process"] = process


@dataclass(eq=False)
class Hunt:
    """`made`: a bundle, as it was written. `seed`: of the samples that `verify` draws. `work`: a folder of its own."""

    made: Path
    work: Path
    seed: int

    def __post_init__(self) -> None:
        self.copy = shutil.copytree(self.made, self.work / "copy")
        self.file = next(self.made.glob("*.c")).name
        self.first = Ready(self.comparison.job)._process
        for name in OURS:
            self._cc("-include", self._trace, "-c", str(self.first._work / f"{name}.c"), "-o", str(self.work / f"{name}.o"))
        self.object = self._object()
        self.clean = self._linked()

    @cached_property
    def bundle(self) -> Bundle:
        return load_bundle(self.made)

    @cached_property
    def comparison(self) -> Comparison:
        """What `verify` does on this computer with its default options, for a bundle that was edited."""
        return Comparison(self.bundle, How("host", oracle=False, edited=True, seed=self.seed), self.seed, silent)

    @property
    def _trace(self) -> str:
        return str(self.first._work / "trace.h")

    def _objects(self, model: Path) -> list[str]:
        """In the order of `HostProcess`: the arena lies between the zones of the first and the last."""
        before, *others = (str(self.work / f"{name}.o") for name in OURS)
        return [before, str(model), *others]

    # --- compiling -------------------------------------------------------------------------------------------------------------------

    def _cc(self, *arguments: str) -> bytes:
        command = [*CC, f"-I{self.copy}", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=120, cwd=self.work)
        if done.returncode:
            raise ToolchainError(done.stderr.decode(errors="replace")[-200:])
        return done.stdout

    def _object(self) -> bytes:
        out = self.work / "model.o"
        self._cc("-include", self._trace, "-c", str(self.copy / self.file), "-o", str(out))
        return out.read_bytes()

    def _linked(self) -> HostProcess:
        library = self.work / "model.so"
        library.unlink(missing_ok=True)
        self._cc("-shared", *self._objects(self.work / "model.o"), "-o", str(library))
        return Built(self.first, library)

    def compiled(self, spoil: Spoil) -> HostProcess | str:
        """The build with a change; or why there is none: "the same" (the same machine code) or "no C"."""
        path = self.copy / spoil.file
        whole = path.read_text()
        try:
            path.write_text(whole[: spoil.start] + spoil.instead + whole[spoil.end :])
            if self._object() == self.object:
                return "the same"
            return self._linked()
        except ToolchainError:
            return "no C"
        finally:
            path.write_text(whole)

    # --- what is reached -------------------------------------------------------------------------------------------------------------

    def reached(self) -> dict[str, set[int]]:
        """The lines of each kernel that the samples come by, those of `verify` and the others: elsewhere a change has no effect."""
        folder = self.work / "reached"
        folder.mkdir()
        flags = ("-O0", "--coverage", "-include", self._trace, "-c", str(self.copy / self.file))
        self._cc(*flags, "-o", str(folder / "model.o"))
        self._cc("-shared", "--coverage", *self._objects(folder / "model.o"), "-o", str(folder / "model.so"))
        data, graph = self.samples.data, self.bundle.compiled.graph
        mine = [graph.packed([x[s] for x in data.inputs]) for s in range(data.samples)]
        asked = [*([*x, word(WHOLE)] for x in mine), *self.others]
        command = [sys.executable, "-c", COVER, str(folder / "model.so"), str(len(asked)), str(self._answers_bytes(len(asked)))]
        subprocess.run(command, input=b"".join(b"".join(x) for x in asked), check=True, timeout=300, cwd=folder)
        command = ["gcov", "--json-format", "--stdout", "model.gcda"]
        told = subprocess.run(command, capture_output=True, check=True, cwd=folder).stdout
        found: dict[str, set[int]] = {}
        for file in json.loads(told)["files"]:
            lines = {line["line_number"] for line in file["lines"] if line["count"]}
            found.setdefault(Path(file["file"]).name, set()).update(lines)
        return found

    def _answers_bytes(self, samples: int) -> int:
        return samples * (sum(self.first.sizes.outputs) + self.first.reads.nbytes)

    # --- asking ----------------------------------------------------------------------------------------------------------------------

    @cached_property
    def samples(self) -> Fresh:
        compiled = self.bundle.compiled
        return fresh(compiled.imported, compiled.graph, DEFAULT, self.seed, compiled.source.macs)

    def noticed(self, built: HostProcess) -> str:
        """What `verify` says of it with the samples that it draws; "" where it notices nothing."""
        comparison, graph, found = self.comparison, self.bundle.compiled.graph, Found()
        reference = [np.stack([np.asarray(v[i]) for v in self.samples.values]) for i in graph.outputs]
        try:
            comparison.ran(Ready(comparison.job, built), self.samples.data, reference, self.samples.values, found)
        except RunError as error:
            return str(error)
        return "" if found.difference is None else str(found.difference)

    @cached_property
    def others(self) -> list[list[bytes]]:
        graph = self.bundle.compiled.graph
        return [[*graph.packed(x), word(WHOLE)] for x in others(self.bundle.compiled.imported, OTHERS, self.seed + 1)]

    @cached_property
    def answers(self) -> list[list[bytes]]:
        return [left.outputs for left in self.clean.run(self.others)]

    def changes(self, built: HostProcess) -> bool:
        """Whether any answer to the other samples is another one than of the C that nobody changed."""
        try:
            return [left.outputs for left in built.run(self.others)] != self.answers
        except RunError:
            return True


@dataclass(eq=False)
class DeviceHunt(Hunt):
    """The same for the firmware on its emulated core, which the compiler of `verify` builds."""

    def __post_init__(self) -> None:
        self.copy = shutil.copytree(self.made, self.work / "copy")
        self.clean = self._board()
        self.image = self._linked_image()

    @cached_property
    def comparison(self) -> Comparison:
        return Comparison(self.bundle, How("emulator", oracle=False, edited=True, seed=self.seed), self.seed, silent)

    def _board(self) -> Board:
        job = self.comparison.job
        return Board(replace(job, build=replace(job.build, folder=self.copy)))

    def _linked_image(self) -> bytes:
        return self._board().job.build.link(self.work / "now.elf").read_bytes()

    def compiled(self, spoil: Spoil) -> Board | str:  # type: ignore[override]
        """As on the host. The C stays as it is until the next one: the core's second program is built when it is asked."""
        shutil.rmtree(self.copy)
        spoil.put(self.made, self.copy)
        try:
            return "the same" if self._linked_image() == self.image else self._board()
        except ToolchainError:
            return "no C"

    def noticed(self, built: Board) -> str:  # type: ignore[override]
        graph, found = self.bundle.compiled.graph, Found()
        reference = [np.stack([np.asarray(v[i]) for v in self.samples.values]) for i in graph.outputs]
        try:
            self.comparison.ran(built, self.samples.data, reference, self.samples.values, found)
        except RunError as error:
            return str(error)
        return "" if found.difference is None else str(found.difference)

    @cached_property
    def others(self) -> list[list[bytes]]:
        graph = self.bundle.compiled.graph
        return [graph.packed(x) for x in others(self.bundle.compiled.imported, OTHERS, self.seed + 1)]

    @cached_property
    def answers(self) -> list[list[bytes]]:
        return [left.outputs for left in self.clean.run(self.others, WHOLE)]

    def changes(self, built: Board) -> bool:  # type: ignore[override]
        try:
            return [left.outputs for left in built.run(self.others, WHOLE)] != self.answers
        except RunError:
            return True


# --- many changes ------------------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the changes. `missed`: those that change an answer to other samples, and that `verify` did not notice."""

    tried: int = 0
    noticed: int = 0
    without_effect: int = 0
    missed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.tried} tried: {self.noticed} found, {self.without_effect} without effect, {len(self.missed)} missed {self.missed or ''}"


def hunt(bundle: Hunt, spoils: Iterable[Spoil], count: int, *, same: bool = False) -> Tally:
    """The first `count` changes that make another program; with `same`, those that do not count as well."""
    tally = Tally()
    for spoil in spoils:
        built = bundle.compiled(spoil)
        if isinstance(built, str) and not same:
            continue
        tally.tried += 1
        if built == "no C" or (not isinstance(built, str) and bundle.noticed(built)):
            tally.noticed += 1
        elif not isinstance(built, str) and bundle.changes(built):
            tally.missed.append(spoil.says)
        else:
            tally.without_effect += 1
        if tally.tried == count:
            break
    return tally


# --- other samples -----------------------------------------------------------------------------------------------------------------


def others(graph: Graph, count: int, seed: int) -> Iterator[list[Array]]:
    """Samples of kinds that `verify` does not draw: walks, ramps, blocks, one element, few levels, ends in runs, all of one value."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        yield [_other(graph.tensors[i], k, rng) for i in graph.inputs]


def _other(tensor: Tensor, kind: int, rng: np.random.Generator) -> Array:
    n = tensor.size
    flat = KINDS[kind % len(KINDS)](n, rng)
    if tensor.dtype == "float32":
        return np.asarray(flat * 8, np.float32).reshape(tensor.shape)
    low, high = tensor.dtype.low, tensor.dtype.high
    scaled = np.round(low + (np.clip(flat, -1, 1) + 1) / 2 * (high - low))
    return np.asarray(np.clip(scaled, low, high)).astype(tensor.dtype.numpy).reshape(tensor.shape)


def _walk(n: int, rng: np.random.Generator) -> Array:
    steps = np.cumsum(rng.standard_normal(n)) * 10.0 ** rng.uniform(-2, 0)
    return np.asarray(np.abs((steps + rng.uniform(-1, 1) + 1) % 4 - 2) - 1)


def _ramp(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(np.linspace(rng.uniform(-1, 1), rng.uniform(-1, 1), n))


def _blocks(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(np.repeat(rng.uniform(-1, 1, n), int(rng.integers(2, 17)))[:n])


def _one(n: int, rng: np.random.Generator) -> Array:
    flat = np.full(n, rng.uniform(-1, 1))
    flat[int(rng.integers(n))] = rng.uniform(-1, 1)
    return flat


def _levels(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(rng.choice(rng.uniform(-1, 1, 3), n))


def _runs(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(np.where(np.cumsum(rng.uniform(size=n) < rng.uniform(0.01, 0.3)) % 2, 1.0, -1.0))


def _flat(n: int, rng: np.random.Generator) -> Array:
    return np.full(n, rng.uniform(-1, 1) if rng.uniform() < 0.5 else rng.choice((-1.0, 0.0, 1.0)))


def _upper(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(rng.beta(5, 1, n) * 2 - 1)


KINDS = (_walk, _ramp, _blocks, _one, _levels, _runs, _flat, _upper)
