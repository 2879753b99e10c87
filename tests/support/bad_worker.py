"""`sandgrain.dataset.worker` with a decoder that does to a file what the file's name says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sandgrain.dataset import worker
from sandgrain.dataset.decode import Description
from sandgrain.dataset.records import Layout

real = worker.describe
worker.CPU_SECONDS = 0.5


def describe(root: Path, path: str, layout: Layout) -> list[Description]:
    name = Path(path).stem
    if name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "leave":
        os._exit(7)
    if name == "hang":
        while True:
            pass
    if name == "eat":
        len(bytearray(2 << 30))
    if name == "write":
        (root / "written").write_bytes(b"!")
    if name == "print":
        os.write(1, b"a library's message\n")
    return real(root, path, layout)


def main() -> None:
    worker.describe = describe
    worker.main()
