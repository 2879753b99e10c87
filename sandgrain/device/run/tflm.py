"""TensorFlow Lite Micro as the oracle, in a child process with limits.

The `tflite-micro` wheel is optional and is imported in the child only: TFLM can crash or hang on a hostile file. One child
serves many models, so a tiny model costs well under a millisecond; after a crash or a timeout a new child is started.
"""

from __future__ import annotations

import atexit
import importlib.util
import io
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import RunError
from sandgrain.device.run.tflm_child import frame_size, get_frame, put_frame

MEMORY = 2 << 30  # bytes of address space; importing numpy and the wheel takes about 300 MiB of it
ARENA = 16 << 20  # bytes; untouched pages cost nothing
CHUNK = 1 << 20


class OracleError(RunError):
    """TensorFlow Lite Micro refused the model, crashed or took too long."""


def available() -> bool:
    """Whether the `tflite-micro` wheel is installed (it exists for Linux alone)."""
    return os.name == "posix" and importlib.util.find_spec("tflite_micro") is not None


class TflmOracle:
    """TFLM behind a pipe. Start-up is lazy; `close` (or leaving a `with`) ends the child."""

    def __init__(self, timeout: float = 60.0, memory: int = MEMORY, arena: int = ARENA) -> None:
        """`timeout` is in seconds a call; `memory` and `arena` are in bytes."""
        self.timeout, self.memory, self.arena = timeout, memory, arena
        self._child: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None  # what the child prints
        atexit.register(self.close)

    def run(self, model: bytes, inputs: Sequence[Sequence[Array]]) -> list[list[Array]]:
        """Run .tflite `model` on each sample of `inputs` (one array an input): per sample, one array an output.

        Raises OracleError.
        """
        return self._ask(model, inputs, None)

    def tensors(self, model: bytes, inputs: Sequence[Sequence[Array]], indices: Sequence[int]) -> list[list[Array]]:
        """As `run`, but gives the tensors with these indices in the file, intermediate ones included."""
        return self._ask(model, inputs, list(indices))

    def _ask(self, model: bytes, inputs: Sequence[Sequence[Array]], tensors: list[int] | None) -> list[list[Array]]:
        width = len(inputs[0]) if inputs else 0
        head = {"samples": len(inputs), "inputs": width, "tensors": tensors, "arena": self.arena}
        request = io.BytesIO()
        put_frame(request, head, [np.frombuffer(model, np.uint8), *(a for sample in inputs for a in sample)])
        reply, arrays = get_frame(io.BytesIO(self._exchange(request.getvalue())))
        if "error" in reply:
            raise OracleError(f"TensorFlow Lite Micro refused the model: {self._reason(reply['error'])}")
        each = reply["outputs"]
        return [arrays[k * each : (k + 1) * each] for k in range(len(inputs))]

    def _exchange(self, request: bytes) -> bytes:
        """Send a frame, receive a frame, within the time limit; the pipes never block."""
        child = self._ready_child()
        assert child.stdin is not None and child.stdout is not None
        end = time.monotonic() + self.timeout
        to_child, from_child = child.stdin.fileno(), child.stdout.fileno()
        sent, got = 0, bytearray()
        while True:
            writers = [to_child] if sent < len(request) else []
            readable, writable, _ = select.select([from_child], writers, [], max(0.0, end - time.monotonic()))
            if not readable and not writable:
                self.close()
                raise OracleError(f"TensorFlow Lite Micro took longer than {self.timeout:g} s; the child was ended")
            try:
                if writable:
                    sent += os.write(to_child, request[sent : sent + CHUNK])
            except BrokenPipeError:
                self._crashed()
            if readable:
                piece = os.read(from_child, CHUNK)
                if not piece:
                    self._crashed()
                got += piece
                if len(got) == frame_size(got):
                    return bytes(got)

    def _ready_child(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            if not available():
                raise OracleError("TensorFlow Lite Micro is not installed; pip install tflite-micro")
            self.close()
            self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the child
            script = Path(__file__).with_name("tflm_child.py")
            self._child = subprocess.Popen(
                [sys.executable, "-P", str(script), str(self.memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            )
            assert self._child.stdin is not None
            os.set_blocking(self._child.stdin.fileno(), False)
        assert self._log is not None
        self._log.seek(0)  # the child shares this offset
        self._log.truncate()
        return self._child

    def _crashed(self) -> None:
        assert self._child is not None
        code = self._child.wait()
        reason = self._reason(f"signal {-code}" if code < 0 else f"exit code {code}")
        self.close()
        raise OracleError(f"TensorFlow Lite Micro crashed: {reason}")

    def _reason(self, text: str) -> str:
        """`text` and what TFLM printed, on one line."""
        assert self._log is not None
        self._log.seek(0)
        printed = " ".join(self._log.read(2000).decode(errors="replace").split())
        return f"{' '.join(text.split())} {printed}".strip()

    def close(self) -> None:
        """End the child, if one runs."""
        child, self._child = self._child, None
        log, self._log = self._log, None
        if child is not None:
            child.kill()
            child.wait()
        for stream in (*((child.stdin, child.stdout) if child else ()), log):
            if stream is not None:
                stream.close()

    def __enter__(self) -> TflmOracle:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
