"""A host build in a child process that stays: for `predict`, which is called again and again.

The limits are those of `HostProcess`. The child ends with Python, or when nobody can ask it any longer; one that died is started again.
"""

from __future__ import annotations

import os
import subprocess
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sandgrain.base.errors import RunError
from sandgrain.device.run.host_child import STATUS
from sandgrain.device.run.host_process import MEMORY, PATIENCE, HostProcess, Left, Reads, Sizes, environment

PORTION = 8 << 20  # bytes of a request and its answer: more samples are asked for in turn
WRITTEN = 1 << 16  # bytes that the child may write to any file, its log among them
POSIX = os.name == "posix"


class HostKept(HostProcess):
    """C compiled here and run in one child process, as often as it is asked. Threads may share it."""

    def __init__(self, code: Path, harness_text: str, sizes: Sizes, seconds: float) -> None:
        super().__init__(code, harness_text, sizes, Reads(), seconds)
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it: one that was forked from that has no share in its pipes

    def run(self, samples: Sequence[Sequence[bytes]], feeds: Sequence[bytes] = ()) -> list[Left]:
        """Each sample is the bytes of each input. Raises RunError where the C crashes, does not end or returns a status."""
        assert not feeds
        most, found = max(PORTION // self._each, 1), list[Left]()
        with self._lock:
            for at in range(0, len(samples), most):
                found += super().run(samples[at : at + most])
        return found

    @property
    def _each(self) -> int:
        """Bytes of one sample, in and out."""
        return sum(self.sizes.inputs) + sum(self.sizes.outputs)

    def _ask(self, request: bytes, samples: int, each: int) -> bytes:
        child, seconds = self._started(), self._seconds(samples)
        late = threading.Event()

        def end() -> None:
            late.set()
            child.kill()

        clock = threading.Timer(PATIENCE * seconds, end)
        clock.daemon = True
        clock.start()
        answer = b""
        assert child.stdin is not None and child.stdout is not None
        try:
            with suppress(BrokenPipeError):
                child.stdin.write(request)
                child.stdin.flush()
                answer = child.stdout.read(STATUS.size + samples * each)
        except BaseException:  # an interrupt: what it still answers is nobody's
            self._end()
            raise
        finally:
            clock.cancel()
        if len(answer) != STATUS.size + samples * each:
            self._failed(child, samples, late.is_set())
        return answer

    def _failed(self, child: subprocess.Popen[bytes], samples: int, late: bool) -> None:
        self._end()
        code = child.wait()
        if late:
            raise RunError(self._slow(samples, PATIENCE * self._seconds(samples)))
        raise RunError(self._died(code, samples, self._seconds(samples)))

    def _started(self) -> subprocess.Popen[bytes]:
        """The child that is there, or a new one."""
        child = self._child
        if child is not None and self._owner == os.getpid() and child.poll() is None:
            return child
        self._end()
        memory = MEMORY + 4 * max(PORTION, self._each)
        with (self._work / "log").open("wb") as log:
            pipe = subprocess.PIPE
            child = subprocess.Popen(
                self._command(memory, WRITTEN, "stays"),
                stdin=pipe,
                stdout=pipe,
                stderr=log,
                cwd=self._work,
                env=environment(),
                start_new_session=POSIX,  # Ctrl-C is for Python
            )
        self._child, self._owner = child, os.getpid()
        weakref.finalize(self, _ended, child, os.getpid())
        return child

    def _end(self) -> None:
        if self._child is not None:
            _ended(self._child, self._owner)
            self._child = None


def _ended(child: subprocess.Popen[bytes], owner: int) -> None:
    """End a child of this process, and let go of its pipes."""
    if owner != os.getpid():
        return
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
