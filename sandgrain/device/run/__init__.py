"""Where the generated C runs: this computer, or an emulated core with the board's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sandgrain.base.errors import UsageError
from sandgrain.device.cost import Image
from sandgrain.device.run import qemu
from sandgrain.device.run.trace import Slot, Trace
from sandgrain.device.run.unicorn_core import Emulator as UnicornEmulator
from sandgrain.device.run.unicorn_core import version as unicorn_version
from sandgrain.device.targets import Board

__all__ = ["Emulator", "emulator_missing", "emulator_version", "open_emulator"]


class Emulator(Protocol):
    """One firmware image on one emulated board."""

    image: Image
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    moves: int  # bytes that `call_layers` moves in about a second

    def infer(self, inputs: Sequence[bytes]) -> list[bytes]:
        """One sample: the bytes of each input in, the bytes of each output back."""
        ...

    def infer_all(self, samples: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
        """Samples one after another on a core that is started once: static variables keep their values in between."""
        ...

    def profile(self, inputs: Sequence[bytes]) -> Trace:
        """One sample, with instructions counted and the stack painted."""
        ...

    def trace(self, inputs: Sequence[bytes], reads: Mapping[int, Sequence[tuple[int, int]]]) -> dict[int, list[bytes]]:
        """One sample; after each layer in `reads`, the bytes at its (address, size) pairs."""
        ...

    def call_layers(self, argument: int, address: int, calls: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """Layers' functions called by themselves. `calls`: (layer, what is put at `address` before); the bytes there after each call."""
        ...


def emulator_missing(board: Board) -> str | None:
    """Why this computer cannot emulate the board's core, or None when it can."""
    if board.core.emulator == "qemu" and not qemu.available():
        return "QEMU is not installed (Debian: apt install qemu-system-arm)"
    return None


def emulator_version(board: Board) -> str:
    """The version of the emulator that runs the board's core, "" where there is none."""
    return qemu.version() if board.core.emulator == "qemu" else unicorn_version() if board.core.emulator == "unicorn" else ""


def open_emulator(elf: Path, board: Board) -> Emulator:
    """Boot `elf` on the board's emulated core. Raises UsageError or RunError."""
    if board.core.emulator == "unicorn":
        return UnicornEmulator(elf, board)
    if board.core.emulator == "qemu":
        return qemu.QemuEmulator(elf, board)
    raise UsageError(f"{board.name} has no emulated core; choose a microcontroller board")
