"""Runs firmware on an emulated Cortex-M or RISC-V core (Unicorn), with the board's memory and nothing else.

The firmware boots through its own reset handler. Then, for each sample, the inputs are written to memory and `sg_infer`
is called. Any access outside the board's flash and RAM, any write to flash, any instruction that the core does not have
stops the run with a RunError that names the function and the layer.
"""

from __future__ import annotations

import ctypes
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import unicorn as uc
from unicorn import arm_const as arm
from unicorn import riscv_const as riscv

from sandgrain.base.errors import RunError, UsageError
from sandgrain.device.cost import Decoder, Image, count
from sandgrain.device.cost.cycles import OVERHEAD, Cost
from sandgrain.device.run.counter import Counter
from sandgrain.device.run.trace import GUARD, Slot, Trace
from sandgrain.device.targets import Board

__all__ = ["Emulator", "version"]

_PAGE = 0x1000
_RETURN = 0x9F0F0F00  # sg_infer "returns" here, where no board has memory (and where Armv7-M may execute): the run stops
_SYSTEM = 0xE000E000  # Cortex-M system control space, there while booting (the FPU is enabled in it)
_PAINT = 0xA5  # fill byte of the unused stack
_BOOT_SECONDS = 10

Sample = Sequence[bytes | np.ndarray[Any, Any]]


def version() -> str:
    """Unicorn's version."""
    return str(uc.__version__)


class Emulator:
    """One firmware image on one emulated board.

    `timeout_s`: seconds of this computer's time that an inference may take. Raises RunError when the image cannot be
    started, UsageError when the board's core is not one that Unicorn has.
    """

    moves = 24 << 20  # bytes that `call_layers` moves in about a second

    def __init__(self, elf_path: Path, board: Board, *, timeout_s: float = 60.0) -> None:
        if board.core.emulator != "unicorn":
            raise UsageError(f"{board.core.name} does not run in Unicorn; use its own emulator ({board.core.emulator})")
        self.board = board
        self.image = Image(elf_path)
        self._timeout = timeout_s
        if self.image.arch != board.core.arch:
            raise RunError(f"{elf_path.name} was built for another kind of core than {board.name}; build it for this board")
        self._thumb = int(board.core.arch == "thumb")
        self._decoder = Decoder(self.image, board.core.features)
        self._counter: Counter | None = None
        self._hooks = False  # whether self._counter is counting
        self._fault: tuple[int, int] | None = None  # Unicorn's access kind, address
        self._uc = self._core()
        self._map()
        self._boot()
        self.inputs = self._slots("sg_input")
        self.outputs = self._slots("sg_output")

    # --- running -------------------------------------------------------------------------------------------------

    def infer(self, inputs: Sample) -> list[bytes]:
        """Run one sample at full speed: the bytes (or arrays) of each input in, the bytes of each output back.

        Raises UsageError when an input has the wrong number of bytes, RunError when the firmware faults or hangs.
        """
        self._write(inputs)
        try:
            self._call()
        except RunError as error:
            raise (self._with_layer(inputs) if self._fault is not None else None) or error from None
        return self._results()

    def infer_all(self, samples: Sequence[Sample]) -> list[list[bytes]]:
        """Run all samples, one after another: the outputs' bytes for each."""
        return [self.infer(sample) for sample in samples]

    def profile(self, inputs: Sample) -> Trace:
        """Run one sample and count: exact instructions by layer and function, estimated cycles, peak stack bytes."""
        self._write(inputs)
        self._paint()
        counter = self._counting()
        with self._hooked(counter):
            self._call()
        by_layer, by_function = count(self._decoder, counter.edges(), self.board.core.cycles)
        overhead = by_layer.pop(OVERHEAD, Cost())
        return Trace(self._results(), dict(sorted(by_layer.items())), overhead, by_function, self._painted())

    def trace(self, inputs: Sample, reads: Mapping[int, Sequence[tuple[int, int]]]) -> dict[int, list[bytes]]:
        """Run one sample, stopping after each layer in `reads` to read memory there.

        `reads`: (address, bytes) pairs by layer number. Layers are taken in rising order, which is the order that they
        run in. Returns the bytes read, by layer. Raises UsageError for a layer that the firmware does not have.
        """
        layers = self.image.layers()
        if missing := sorted(set(reads) - set(layers)):
            raise UsageError(f"the firmware has no layer {missing[0]}; it has {len(layers)}")
        self._uc.ctl_flush_tb()  # blocks of earlier runs lead from one to the next, past the places to stop at
        self._write(inputs)
        self._enter()
        found: dict[int, list[bytes]] = {}
        for number in sorted(reads):
            self._run_to(layers[number].address, f"the entry of layer {number}")
            self._run_to(self._link() & ~self._thumb, f"the end of layer {number}")
            found[number] = [self.read(address, size) for address, size in reads[number]]
        self._finish()
        self._uc.ctl_flush_tb()  # blocks were cut where the run stopped
        return found

    def call_layers(self, argument: int, address: int, calls: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """Call layers' functions by themselves. `calls`: (layer, what is written to `address` before). The bytes there after each call.

        Memory is put back as it was behind the last one. Raises UsageError for a layer that the firmware does not have, RunError as
        `infer` does.
        """
        kept = b""
        with _watch(self._uc, self._timeout) as watch:
            for number, memory in calls:
                kept = kept or self.read(address, len(memory))
                self._enter(self._layer(number))
                self._uc.reg_write(self._r0, argument)
                self._uc.mem_write(address, memory)
                watch.begun = time.monotonic()
                self._run_to(_RETURN, f"the end of layer {number}", 0)
                watch.begun = None
                yield self.read(address, len(memory))
        self._uc.mem_write(address, kept)

    def _layer(self, number: int) -> int:
        layers = self.image.layers()
        if number not in layers:
            raise UsageError(f"the firmware has no layer {number}; it has {len(layers)}")
        return layers[number].address

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of the device's memory."""
        try:
            return bytes(self._uc.mem_read(address, size))
        except uc.UcError:
            raise RunError(f"{self.board.name} has no memory at {address:#010x}..{address + size:#010x}") from None

    def address(self, symbol: str) -> int:
        """The address of a symbol. Raises RunError when the firmware has none of that name."""
        try:
            return self.image.symbols[symbol]
        except KeyError:
            raise RunError(f"the firmware has no symbol {symbol}; build it with the generated harness") from None

    # --- setting up ----------------------------------------------------------------------------------------------

    def _core(self) -> Any:
        model = self.board.core.cpu_model
        if self._thumb:
            core = uc.Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB)  # UC_MODE_MCLASS would make every core a Cortex-M33
            core.ctl_set_cpu_model(getattr(arm, f"UC_CPU_ARM_{model}"))
            self._pc, self._sp, self._lr, self._r0 = arm.UC_ARM_REG_PC, arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR, arm.UC_ARM_REG_R0
        else:
            core = uc.Uc(uc.UC_ARCH_RISCV, uc.UC_MODE_RISCV32)
            core.ctl_set_cpu_model(getattr(riscv, f"UC_CPU_RISCV32_{model}"))
            self._pc, self._sp = riscv.UC_RISCV_REG_PC, riscv.UC_RISCV_REG_SP
            self._lr, self._r0 = riscv.UC_RISCV_REG_RA, riscv.UC_RISCV_REG_A0
        return core

    def _map(self) -> None:
        board = self.board
        self._region(board.flash_base, board.flash_bytes, uc.UC_PROT_READ | uc.UC_PROT_EXEC)
        self._region(board.ram_base, board.ram_bytes, uc.UC_PROT_READ | uc.UC_PROT_WRITE)
        for segment in self.image.segments:
            end = segment.load_address + len(segment.data)
            if not board.flash_base <= segment.load_address <= end <= board.flash_base + board.flash_bytes:
                raise RunError(f"the firmware does not fit the flash of {board.name}; build it for this board")
            self._uc.mem_write(segment.load_address, segment.data)
        if not self._thumb:
            self._uc.mem_map(_RETURN & -_PAGE, _PAGE, uc.UC_PROT_EXEC)  # this core fetches before it sees that it is to stop
        self._uc.hook_add(uc.UC_HOOK_MEM_INVALID, self._note_fault)

    def _region(self, base: int, size: int, rights: int) -> None:
        """Map whole pages, and let the part of the last page that the board does not have fault as well."""
        if base % _PAGE:
            raise RunError(f"{self.board.name}: memory at {base:#x} does not start on a 4 KiB page; use a nearby address")
        whole = -(-size // _PAGE) * _PAGE
        self._uc.mem_map(base, whole, rights)
        if whole != size:
            self._uc.hook_add(uc.UC_HOOK_MEM_READ | uc.UC_HOOK_MEM_WRITE, self._note_stray, None, base + size, base + whole - 1)

    def _boot(self) -> None:
        for symbol in ("sg_ready", "sg_infer", "sg_stack_top", "sg_stack_limit"):
            self.address(symbol)
        if self._thumb:
            self._uc.mem_map(_SYSTEM, _PAGE, uc.UC_PROT_READ | uc.UC_PROT_WRITE)
            stack, start = struct.unpack("<II", self.read(self.board.flash_base, 8))
            self._uc.reg_write(self._sp, stack)
        else:
            start = self.image.entry
        self._uc.reg_write(self._pc, start)
        self._run_to(self.address("sg_ready"), "sg_ready while booting", _BOOT_SECONDS)
        if self._thumb:
            self._uc.mem_unmap(_SYSTEM, _PAGE)
        self._uc.ctl_flush_tb()

    def _slots(self, prefix: str) -> tuple[Slot, ...]:
        number = int.from_bytes(self.read(self.address(f"{prefix}_count"), 4), "little")
        if number > 64:
            raise RunError(f"the firmware claims {number} buffers in {prefix}_count; build it with the generated harness")
        addresses = struct.unpack(f"<{number}I", self.read(self.address(f"{prefix}s"), 4 * number))
        sizes = struct.unpack(f"<{number}I", self.read(self.address(f"{prefix}_bytes"), 4 * number))
        return tuple(Slot(a, s) for a, s in zip(addresses, sizes, strict=True))

    # --- one call ------------------------------------------------------------------------------------------------

    def _write(self, inputs: Sample) -> None:
        if len(inputs) != len(self.inputs):
            raise UsageError(f"the model has {len(self.inputs)} inputs, the sample {len(inputs)}; give one array each")
        for i, (value, slot) in enumerate(zip(inputs, self.inputs, strict=True)):
            data = value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes()
            if len(data) != slot.size:
                raise UsageError(f"input {i} has {len(data)} bytes, the model takes {slot.size}; check its shape and dtype")
            self._uc.mem_write(slot.address, data)

    def _results(self) -> list[bytes]:
        return [self.read(slot.address, slot.size) for slot in self.outputs]

    def _enter(self, entry: int | None = None) -> None:
        """Everything as at the entry of sg_infer, or of another function; the far end of the stack is painted, to see an overflow."""
        self._uc.mem_write(self.address("sg_stack_limit"), bytes([_PAINT]) * GUARD)
        self._uc.reg_write(self._sp, self.address("sg_stack_top") & ~15)
        self._uc.reg_write(self._lr, _RETURN | self._thumb)
        self._uc.reg_write(self._pc, (self.address("sg_infer") if entry is None else entry) | self._thumb)

    def _call(self) -> None:
        self._enter()
        self._finish()

    def _with_layer(self, inputs: Sample) -> RunError | None:
        """The same sample again, counted, so that the message can name the layer; None when it does not fail again."""
        self._write(inputs)
        try:
            with self._hooked(self._counting()):
                self._call()
        except RunError as error:
            return error
        return None

    def _finish(self) -> None:
        self._run_to(_RETURN, "the end of the inference")
        self._check_stack()
        status = int.from_bytes(self._uc.reg_read(self._r0).to_bytes(8, "little")[:4], "little", signed=True)
        if status != 0:
            raise RunError(f"sg_infer returned {status}; the generated code refuses its input")

    def _check_stack(self) -> None:
        if self.read(self.address("sg_stack_limit"), GUARD) != bytes([_PAINT]) * GUARD:
            raise RunError(f"the stack ran into static memory on {self.board.name}; choose a board with more RAM")

    def _run_to(self, until: int, what: str, seconds: float | None = None) -> None:
        seconds = self._timeout if seconds is None else seconds
        self._fault = None
        pc = self._uc.reg_read(self._pc)
        if pc & ~self._thumb == until:
            return
        try:
            self._uc.emu_start(pc | self._thumb, until, timeout=int(seconds * 1e6))
        except uc.UcError as error:
            raise RunError(self._explain(error)) from None
        pc = self._uc.reg_read(self._pc) & ~self._thumb
        if self._fault is not None:
            raise RunError(self._explain(None))
        if pc != until:
            raise RunError(
                f"{what} was not reached in {seconds or self._timeout:g} s, the core is at {self._place(pc)}; raise the time limit"
            )

    def _link(self) -> int:
        return int(self._uc.reg_read(self._lr))

    # --- faults --------------------------------------------------------------------------------------------------

    def _note_fault(self, core: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        self._fault = (access, address)
        return False

    def _note_stray(self, core: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        self._fault = (access, address)
        core.emu_stop()

    def _explain(self, error: Any) -> str:
        pc = self._uc.reg_read(self._pc) & ~self._thumb
        if self._fault is None:
            return f"{self._place(pc)}: {self.board.core.name} cannot execute this instruction ({error}); build for this core"
        access, address = self._fault
        writes = (uc.UC_MEM_WRITE, uc.UC_MEM_WRITE_UNMAPPED, uc.UC_MEM_WRITE_PROT)
        fetches = (uc.UC_MEM_FETCH, uc.UC_MEM_FETCH_UNMAPPED, uc.UC_MEM_FETCH_PROT)
        verb = "write to" if access in writes else "jump to" if access in fetches else "read of"
        return f"{self._place(pc)}: {verb} {address:#010x}, which {self._owner(address)}; report this with the model"

    def _owner(self, address: int) -> str:
        board = self.board
        if board.flash_base <= address < board.flash_base + board.flash_bytes:
            return f"is flash of {board.name}"
        if board.ram_base <= address < board.ram_base + board.ram_bytes:
            return f"is RAM of {board.name}"
        return f"is outside the memory of {board.name}"

    def _place(self, pc: int) -> str:
        """The function at `pc` and, when it is not a layer itself, the layer whose call it serves."""
        function = self.image.function_at(pc)
        if function is None or function.layer is not None:
            return self.image.where(pc)
        layer = self._counter.layer if self._counter is not None and self._hooks else OVERHEAD
        return self.image.where(pc) + (f" (layer {layer})" if layer != OVERHEAD else "")

    # --- measuring -----------------------------------------------------------------------------------------------

    def _counting(self) -> Counter:
        if self._counter is None:
            self._counter = Counter(self.image)
        self._counter.reset()
        return self._counter

    @contextmanager
    def _hooked(self, counter: Counter) -> Iterator[None]:
        """Call count.c at the start of every block. The hook is C: a Python one would take 20 times as long."""
        library = _unicorn_library()
        handle = ctypes.c_size_t()
        whole = (ctypes.c_uint64(1), ctypes.c_uint64(0))  # begin > end: everywhere
        status = library.uc_hook_add(
            self._uc._uch, ctypes.byref(handle), ctypes.c_int(uc.UC_HOOK_BLOCK), counter.function, counter.state, *whole
        )
        if status != uc.UC_ERR_OK:
            raise RunError(f"Unicorn refused the block hook (error {status}); reinstall unicorn")
        self._uc.ctl_flush_tb()  # blocks translated before have no hook in them
        self._hooks = True
        try:
            yield
        finally:
            self._hooks = False
            library.uc_hook_del(self._uc._uch, handle)
            self._uc.ctl_flush_tb()

    def _paint(self) -> None:
        low, high = self.address("sg_stack_limit"), self.address("sg_stack_top") & ~15
        self._uc.mem_write(low, bytes([_PAINT]) * (high - low))

    def _painted(self) -> int:
        """Bytes between the stack's top and the lowest byte that lost its paint."""
        low, high = self.address("sg_stack_limit"), self.address("sg_stack_top") & ~15
        changed = np.flatnonzero(np.frombuffer(self.read(low, high - low), np.uint8) != _PAINT)
        return high - low - int(changed[0]) if changed.size else 0


@dataclass(slots=True)
class _Watch:
    """`begun`: when the call that runs was begun."""

    begun: float | None = None


@contextmanager
def _watch(core: Any, seconds: float) -> Iterator[_Watch]:
    """Stops calls that take longer. Unicorn's own limit starts a thread for each call, which takes a hundred times as long as a small one."""
    watch, over = _Watch(), threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            if watch.begun is not None and time.monotonic() - watch.begun > seconds:
                core.emu_stop()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _unicorn_library() -> Any:
    """Unicorn's C library, as its own Python binding loaded it."""
    from unicorn.unicorn_py3.unicorn import uclib

    return uclib
