"""Runs firmware in QEMU, for the Cortex-M55 that Unicorn does not have.

The firmware (built with `main_semihosting.c`) reads all samples from a file and writes all outputs to another; QEMU runs
as a child process with a time limit, in an empty folder. A plugin counts blocks as count.c does in Unicorn. Unlike there,
memory is the machine's and not the board's, so a stray access is only noticed where the machine has nothing.
"""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import RunError, UsageError
from sandgrain.base.scratch import scratch
from sandgrain.device.cost import Decoder, Image, count
from sandgrain.device.cost.cycles import OVERHEAD, Cost
from sandgrain.device.run.counter import EDGE, edges_of, native, ranges
from sandgrain.device.run.gdb import Gdb
from sandgrain.device.run.trace import Slot, Trace
from sandgrain.device.targets import Board
from sandgrain.device.toolchain.process import first_line

__all__ = ["QemuEmulator", "available"]

_BINARY = "qemu-system-arm"
_FAULT, _FILES, _MODEL = 3, 4, 5  # exit statuses of main_semihosting.c

Sample = Sequence[bytes | np.ndarray[Any, Any]]


def available() -> bool:
    """Whether QEMU for Arm is installed."""
    return shutil.which(_BINARY) is not None


@cache
def version() -> str:
    """What QEMU says of itself."""
    return first_line([_BINARY, "--version"])


class QemuEmulator:
    """One firmware image on one emulated board, as `Emulator` in unicorn_core.

    `timeout_s`: seconds of this computer's time for a call, however many samples it has. Raises UsageError when QEMU is
    not installed or has no such core, RunError when the image cannot be started.
    """

    moves = 2 << 20  # bytes that `call_layers` moves in about a second

    def __init__(self, elf_path: Path, board: Board, *, timeout_s: float = 120.0) -> None:
        if board.core.emulator != "qemu":
            raise UsageError(f"{board.core.name} does not run in QEMU; use its own emulator ({board.core.emulator})")
        if not available():
            raise UsageError(f"{board.core.name} needs {_BINARY}, which is not installed; install QEMU or choose another board")
        self.board = board
        self.image = Image(elf_path)
        if self.image.arch != board.core.arch or "sg_done" not in self.image.symbols:
            raise RunError(f"{elf_path.name} was not built for {board.name}; build it for this board")
        self._timeout = timeout_s
        self._decoder = Decoder(self.image, board.core.features)
        self.inputs = self._slots("sg_input")
        self.outputs = self._slots("sg_output")

    def infer(self, inputs: Sample) -> list[bytes]:
        """Run one sample: the bytes (or arrays) of each input in, the bytes of each output back."""
        return self.infer_all([inputs])[0]

    def infer_all(self, samples: Sequence[Sample]) -> list[list[bytes]]:
        """Run all samples in one QEMU process: the outputs' bytes for each."""
        with scratch() as folder:
            self._run(folder, samples, [])
            return self._results(folder, len(samples))

    def profile(self, inputs: Sample) -> Trace:
        """Run one sample and count: exact instructions by layer and function, estimated cycles, peak stack bytes."""
        with scratch() as work:
            functions = ranges(self.image)
            plan = struct.pack("<3I", self.image.symbols["sg_infer"], self.image.symbols["sg_done"], len(functions))
            (work / "plan.bin").write_bytes(plan + functions.tobytes())
            self._run(work, [inputs], ["-plugin", f"{native('plugin')},plan=plan.bin,edges=edges.bin"])
            raw = (work / "edges.bin").read_bytes() if (work / "edges.bin").exists() else b""
            if len(raw) < 4 or raw[:4] != bytes(4):
                raise RunError("QEMU did not count the inference; its plugins may be switched off, install another build of it")
            by_layer, by_function = count(self._decoder, edges_of(np.frombuffer(raw[4:], EDGE)), self.board.core.cycles)
            stack = int.from_bytes((work / "stack.bin").read_bytes(), "little")
            overhead = by_layer.pop(OVERHEAD, Cost())
            return Trace(self._results(work, 1)[0], dict(sorted(by_layer.items())), overhead, by_function, stack)

    def trace(self, inputs: Sample, reads: Mapping[int, Sequence[tuple[int, int]]]) -> dict[int, list[bytes]]:
        """Run one sample, stopping after each layer in `reads` to read the (address, bytes) pairs there.

        Layers are taken in rising order, which is the order that they run in. Raises UsageError for a layer that the
        firmware does not have.
        """
        layers = self.image.layers()
        if missing := sorted(set(reads) - set(layers)):
            raise UsageError(f"the firmware has no layer {missing[0]}; it has {len(layers)}")
        found: dict[int, list[bytes]] = {}
        with scratch() as folder, self._stopped(folder, inputs) as gdb:
            for number in sorted(reads):
                gdb.run_to(layers[number].address, f"layer {number}")
                gdb.run_to(gdb.link() & ~1, f"the end of layer {number}")
                found[number] = [gdb.read(address, size) for address, size in reads[number]]
        return found

    def call_layers(self, argument: int, address: int, calls: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """Call layers' functions by themselves, as `call_layers` in unicorn_core does; in a process of its own, stopped before sg_infer."""
        layers, back = self.image.layers(), self.image.symbols["sg_infer"]
        idle = [bytes(slot.size) for slot in self.inputs]
        with scratch() as folder, self._stopped(folder, idle) as gdb:
            gdb.run_to(back, "sg_infer")
            for number, memory in calls:
                if number not in layers:
                    raise UsageError(f"the firmware has no layer {number}; it has {len(layers)}")
                gdb.write(address, memory)
                gdb.call(layers[number].address, argument, back)
                gdb.run_to(back, f"the end of layer {number}")
                yield gdb.read(address, len(memory))

    @contextmanager
    def _stopped(self, work: Path, inputs: Sample) -> Iterator[Gdb]:
        """A QEMU that waits before the first instruction, and the connection to it."""
        (work / "samples.bin").write_bytes(self._bytes(inputs))
        command = self._command(["-gdb", "unix:gdb,server=on,wait=off", "-S"])
        null = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=work, stdin=null, stdout=null, stderr=null) as child:
            try:
                with closing(Gdb(work / "gdb", self._timeout)) as gdb:
                    yield gdb
            finally:
                child.kill()

    def _command(self, extra: list[str]) -> list[str]:
        core = self.board.core
        command = [_BINARY, "-M", core.machine, "-cpu", core.cpu_model, "-display", "none", "-monitor", "none", "-serial", "none"]
        command += ["-nodefaults", "-semihosting-config", "enable=on,target=native"]
        return [*command, "-kernel", str(self.image.path.resolve()), *extra]

    def _run(self, work: Path, samples: Sequence[Sample], extra: list[str]) -> None:
        (work / "samples.bin").write_bytes(b"".join(self._bytes(sample) for sample in samples))
        command = self._command(extra)
        try:
            done = subprocess.run(
                command, cwd=work, capture_output=True, timeout=self._timeout, stdin=subprocess.DEVNULL, check=False
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"{len(samples)} samples did not end in {self._timeout:g} s in QEMU; raise the time limit") from None
        if done.returncode != 0:
            raise RunError(self._explain(work, done.returncode, done.stderr.decode(errors="replace")))

    def _bytes(self, sample: Sample) -> bytes:
        data = [value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes() for value in sample]
        if len(data) != len(self.inputs):
            raise UsageError(f"the model has {len(self.inputs)} inputs, the sample {len(data)}; give one array each")
        for i, (value, slot) in enumerate(zip(data, self.inputs, strict=True)):
            if len(value) != slot.size:
                raise UsageError(f"input {i} has {len(value)} bytes, the model takes {slot.size}; check its shape and dtype")
        return b"".join(data)

    def _results(self, work: Path, samples: int) -> list[list[bytes]]:
        data = (work / "outputs.bin").read_bytes()
        sizes = [slot.size for slot in self.outputs]
        if len(data) != samples * sum(sizes):
            raise RunError(f"the firmware wrote {len(data)} bytes of outputs, not {samples * sum(sizes)}; build it again")
        starts = np.cumsum([0, *sizes * samples]).tolist()
        pieces = [data[a:b] for a, b in itertools.pairwise(starts)]
        return [pieces[i * len(sizes) : (i + 1) * len(sizes)] for i in range(samples)]

    def _explain(self, work: Path, status: int, stderr: str) -> str:
        report = (work / "fault.bin").read_bytes() if (work / "fault.bin").exists() else b""
        if status == _FAULT and len(report) == 12:
            pc, cause, address = struct.unpack("<3I", report)
            access = f" by an access to {address:#010x}" if cause & 0x8000 else ""
            return f"{self.image.where(pc)}: fault{access} (CFSR {cause:#010x}); report this with the model"
        if status == _MODEL and len(report) == 4:
            return f"sg_infer returned {int.from_bytes(report, 'little', signed=True)}; the generated code refuses its input"
        lines = stderr.strip().splitlines()
        return f"QEMU ended with status {status}{': ' + lines[-1][:200] if lines else ''}; check its version (7.2 or newer)"

    def _slots(self, prefix: str) -> tuple[Slot, ...]:
        """From the image itself: these tables are constants."""

        def words(symbol: str, number: int) -> tuple[int, ...]:
            if symbol not in self.image.symbols:
                raise RunError(f"the firmware has no symbol {symbol}; build it with the generated harness")
            data = self.image.bytes_at(self.image.symbols[symbol], 4 * number)
            if data is None:
                raise RunError(f"the firmware's {symbol} is not constant; build it with the generated harness")
            return struct.unpack(f"<{number}I", data)

        (number,) = words(f"{prefix}_count", 1)
        number = min(number, 64)
        sizes = words(f"{prefix}_bytes", number)
        return tuple(Slot(a, s) for a, s in zip(words(f"{prefix}s", number), sizes, strict=True))
