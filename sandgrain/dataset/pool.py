"""Files decoded by a few processes: what one of them dies of is a bad file, and the others go on."""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.dataset import start, worker
from sandgrain.dataset.decode import MAX_NOTE, Description, describe
from sandgrain.dataset.manifest import layout_json
from sandgrain.dataset.names import MAX_LABEL, escape
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from sandgrain.dataset.unknown import are_edges
from sandgrain.dataset.walk import Found

CHUNK_FILES = 64  # a question's, so that asking costs little
CHUNK_BYTES = 1 << 24  # and no process is left with much when the others are done
MAX_REPLY = 1 << 27  # bytes
PIECE = 1 << 18  # bytes of a pipe that are read at a time
MODULE = worker.__name__
MAX_CRASHES = 200  # decoders that die: after so many it is not the files

Reply = list[Description] | str  # a file's recordings, or why there are none


class Process:
    """One decoding process."""

    def __init__(self, root: Path, layout: Layout, modules: Sequence[str]) -> None:
        # One thread each, and Arrow's plain allocator: others reserve gigabytes of addresses.
        extra = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        # -P: no folder is searched for modules only because something of ours or the data's lies in it.
        command = [sys.executable, "-P", start.__file__, MODULE]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ | extra)
        self.ready = False
        self.files: list[Found] = []
        self._begun: list[bytes] = []  # an answer's pieces so far
        self._size = 0
        settings = {"root": os.fspath(root), "layout": layout_json(layout), "modules": list(modules), "memory": worker.MEMORY}
        self._send(settings)

    def fileno(self) -> int:
        """What to wait for."""
        assert self._child.stdout is not None
        return self._child.stdout.fileno()

    def give(self, files: list[Found]) -> None:
        """Ask for these files."""
        self.files = files
        self._send([[f.path, f.size] for f in files])

    def start(self, answer: Any) -> None:
        """Take its first answer. Raises UsageError."""
        if answer != "ready":
            raise UsageError(f"the process that decodes files does not start: {self._complaint()}")
        self.ready = True

    def take(self) -> Iterator[Any]:
        """The answers that have come; None stands for a process that is dead or talks nonsense. Call it when it can be read."""
        piece = os.read(self.fileno(), PIECE)
        *lines, rest = piece.split(b"\n")
        for line in lines:
            whole = b"".join([*self._begun, line])
            self._begun, self._size = [], 0
            try:
                yield json.loads(whole)
            except (ValueError, RecursionError):
                yield None
        self._begun.append(rest)
        self._size += len(rest)
        if not piece or self._size > MAX_REPLY:
            yield None

    def end(self) -> int:
        """End it, and its exit status."""
        self._child.kill()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not sent cannot be sent any more
                    stream.close()
        return self._child.wait()

    def _complaint(self) -> str:
        assert self._child.stderr is not None
        lines = self._child.stderr.read(1 << 16).decode("ascii", "replace").splitlines()
        return escape(lines[-1] if lines else "no message")

    def _send(self, value: Any) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then it is dead, as the next `take` will show
            self._child.stdin.write(json.dumps(value).encode() + b"\n")
            self._child.stdin.flush()


def decode_here(root: Path, layout: Layout, files: Sequence[Found]) -> Iterator[tuple[Found, Reply, bool]]:
    """As `decode_all`, in this process: for a few small files that meet no native library, where starting another takes longer."""
    for file in files:
        try:
            yield file, describe(root, file.path, layout), True
        except BadFileError as error:
            yield file, escape(str(error), worker.REASON), True
        except MemoryError:
            yield file, worker.TOO_LARGE, False


def decode_all(
    root: Path, layout: Layout, files: Sequence[Found], modules: Sequence[str], processes: int
) -> Iterator[tuple[Found, Reply, bool]]:
    """(file, its reply, whether the reply would be the same again), in no particular order.

    A process that dies takes the answers to one question with it: the files of that question are asked one by one, so that
    the one that kills is found. Raises UsageError when processes do not start, or die again and again.
    """
    todo = deque(_chunks(files))
    crew: list[Process] = []
    deaths = 0
    with selectors.DefaultSelector() as waiting:
        try:
            while todo or any(p.files for p in crew):
                idle = sum(not p.files for p in crew)
                for _ in range(min(len(todo) - idle, processes - len(crew))):
                    crew.append(Process(root, layout, modules))
                    waiting.register(crew[-1], selectors.EVENT_READ, crew[-1])
                for process in crew:
                    if todo and not process.files:
                        process.give(todo.popleft())
                for process, answer in [(key.data, a) for key, _ in waiting.select() for a in key.data.take()]:
                    if not process.ready:
                        process.start(answer)
                        continue
                    asked, process.files = process.files, []
                    replies = _checked(answer, len(asked))
                    if replies is not None and asked:
                        if todo:  # before the answers are looked at, so that nobody waits
                            process.give(todo.popleft())
                        yield from ((f, r, r != worker.TOO_LARGE) for f, r in zip(asked, replies, strict=True))
                        continue
                    waiting.unregister(process)
                    crew.remove(process)
                    why = _death(process.end(), answer is None)
                    deaths += 1
                    if deaths > MAX_CRASHES:
                        raise UsageError(f"{deaths} processes that decode files died; the last: {why}")
                    if len(asked) == 1:
                        yield asked[0], why, False
                    else:
                        todo.extendleft([f] for f in reversed(asked))
        finally:
            for process in crew:
                process.end()


def _chunks(files: Iterable[Found]) -> Iterator[list[Found]]:
    chunk: list[Found] = []
    size = 0
    for file in files:
        if chunk and (len(chunk) >= CHUNK_FILES or size + file.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(file)
        size += file.size
    if chunk:
        yield chunk


def _death(status: int, silent: bool) -> str:
    """Why a process has no answer, as the reason for a file."""
    if not silent:
        return "the decoder gave an answer that makes no sense"
    if -status in (signal.SIGPROF, signal.SIGALRM):
        return f"takes more than {worker.CPU_SECONDS:g} seconds, and one a MiB, to decode"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
    return f"the decoder crashed ({name})"


def _checked(answer: Any, count: int) -> list[Reply] | None:
    """Replies for `count` files, or None where an answer is not of that form."""
    if not isinstance(answer, list) or len(answer) != count:
        return None
    replies = [parse_reply(reply) for reply in answer]
    return None if any(r is None for r in replies) else [r for r in replies if r is not None]


def parse_reply(value: Any) -> Reply | None:
    """A reply from JSON, from a process or from the cache; None where it is not of that form."""
    if isinstance(value, str):
        return escape(value, worker.REASON) if not value.isprintable() else value
    if not isinstance(value, list) or not value:
        return None
    found: list[Description] = []
    for row in value:
        if not isinstance(row, list) or len(row) != 9:
            return None
        index, label, group, rate, shape, sha256, clipped, note, unknown = row
        if (
            type(index) is not int
            or type(clipped) is not int
            or not isinstance(rate, float)
            or not math.isfinite(rate)
            or not all(t is None or (isinstance(t, str) and len(t) <= MAX_LABEL) for t in (label, group))
            or not isinstance(shape, list)
            or not all(type(n) is int and n > 0 for n in shape)
            or not isinstance(sha256, str)
            or len(sha256) != 64
            or not isinstance(note, str)
            or len(note) > MAX_NOTE
            or not shape
            or not are_edges(unknown, shape[0])
        ):
            return None
        found.append(
            Description(
                index,
                label,
                group,
                rate,
                tuple(shape),
                sha256,
                clipped,
                escape(note, MAX_NOTE) if not note.isprintable() else note,
                tuple(unknown),
            )
        )
    return found
