"""The little of GDB's remote protocol that is needed to stop a program in QEMU and to read its memory."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

from sandgrain.base.errors import RunError

_CHUNK = 1984  # bytes of memory asked for at once; QEMU's packets hold 4096 characters
_PACKET = re.compile(rb"\$([^#$]*)#[0-9a-fA-F]{2}")
_FIRST, _LINK, _PC = 0, 14, 15  # registers: of the first argument, of the way back, of the next instruction


class Gdb:
    """A connection to a QEMU that was started stopped, with `-gdb unix:PATH,server=on,wait=off -S`."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._data = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._connect(path, time.monotonic() + min(timeout_s, 10.0))

    def close(self) -> None:
        """End the connection; the program stays as it is."""
        self._socket.close()

    def run_to(self, address: int, what: str) -> None:
        """Run until the instruction at `address` is next. Raises RunError when the program ends before or takes too long."""
        if self._ask(f"Z1,{address:x},2") != "OK":
            raise RunError(f"QEMU cannot stop at {what}; check its version (7.2 or newer)")
        stopped = self._ask("c")
        if not stopped.startswith(("T", "S")):
            raise RunError(f"{what} was not reached in QEMU ({stopped}); profile the model to see what runs")
        self._ask(f"z1,{address:x},2")

    def link(self) -> int:
        """The link register."""
        registers = bytes.fromhex(self._ask("g"))
        return int.from_bytes(registers[4 * _LINK : 4 * _LINK + 4], "little")

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of memory at `address`."""
        pieces = []
        for start in range(0, size, _CHUNK):
            answer = self._ask(f"m{address + start:x},{min(_CHUNK, size - start):x}")
            if answer.startswith("E"):
                raise RunError(f"QEMU's machine has no memory at {address + start:#010x}")
            pieces.append(bytes.fromhex(answer))
        return b"".join(pieces)

    def write(self, address: int, data: bytes) -> None:
        """Memory from `address` on."""
        for start in range(0, len(data), _CHUNK):
            piece = data[start : start + _CHUNK]
            self._must(f"M{address + start:x},{len(piece):x}:{piece.hex()}")

    def call(self, address: int, argument: int, back: int) -> None:
        """As if the Thumb function at `address` had just been called from in front of `back`."""
        registers = bytearray.fromhex(self._ask("g"))
        for number, value in ((_FIRST, argument), (_LINK, back | 1), (_PC, address & ~1)):
            registers[4 * number : 4 * number + 4] = value.to_bytes(4, "little")
        self._must(f"G{registers.hex()}")

    def _must(self, packet: str) -> None:
        answer = self._ask(packet)
        if answer != "OK":
            raise RunError(f"QEMU refused to write ({answer[:20]}); check its version (7.2 or newer)")

    def _connect(self, path: Path, end: float) -> None:
        while True:
            try:
                self._socket.connect(str(path))
            except OSError:
                if time.monotonic() > end:
                    raise RunError("QEMU did not start to listen; check its version (7.2 or newer)") from None
                time.sleep(0.01)
            else:
                return

    def _ask(self, packet: str) -> str:
        body = packet.encode()
        try:
            self._socket.sendall(b"$%b#%02x" % (body, sum(body) & 0xFF))
            return self._answer()
        except TimeoutError:
            raise RunError("QEMU gave no answer in time; raise the time limit") from None
        except (OSError, ValueError) as error:
            raise RunError(f"QEMU's connection broke ({error}); run it again") from None

    def _answer(self) -> str:
        """The next packet's text; acknowledgements are skipped and given."""
        while (found := _PACKET.search(self._data)) is None:
            piece = self._socket.recv(65536)
            if not piece:
                return "the program ended"
            self._data += piece
        self._data = self._data[found.end() :]
        self._socket.sendall(b"+")
        return found.group(1).decode()
