"""A model's bytes through the onnx package's checker, inliner and shape inference, in a child process with limits."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sandgrain.base.errors import ModelError
from sandgrain.base.text import ascii_line
from sandgrain.formats.onnx import child

MEMORY = 448 << 20  # bytes of address space of the child, Python and the package included
MAX_TEXT = 240  # characters of what the package says


class Checker:
    """One child serves many models. It starts with the first, and again after one that ended it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def check(self, data: bytes, folder: Path | None, shapes: Sequence[Sequence[int]] | None) -> bytes:
        """The checked model, self-contained, functions inlined, shapes inferred.

        `folder`: where its external data lies. `shapes`: of the inputs, where the model leaves axes open. Raises ModelError.
        """
        head = {"folder": "" if folder is None else str(folder), "shapes": None if shapes is None else [list(s) for s in shapes]}
        process = self._ready()
        assert process.stdin is not None and process.stdout is not None
        try:
            child.send(process.stdin, json.dumps(head).encode())
            child.send(process.stdin, data)
            process.stdin.flush()
            kind, answer = process.stdout.read(1), b""
            if kind:
                answer = child.receive(process.stdout)
        except (BrokenPipeError, EOFError):
            kind = b""
        if kind == child.OK:
            return answer
        if kind == child.BAD:
            raise ModelError(one_line(answer.decode(errors="replace")))
        self.close()
        raise ModelError("the onnx package crashed on it or took too much time or memory; export the model again")

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = subprocess.Popen(
                [sys.executable, "-P", child.__file__, str(MEMORY)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._child

    def close(self) -> None:
        """End the child, if one runs."""
        process, self._child = self._child, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        continue


def one_line(text: str) -> str:
    """What the package says, without its line breaks; the way out behind the last semicolon stays."""
    flat = " ".join(text.split())
    fact, _, way = flat.rpartition("; ")
    return f"{ascii_line(fact or flat, MAX_TEXT)}; {ascii_line(way, MAX_TEXT)}" if fact else ascii_line(flat, MAX_TEXT)


checker = Checker()
