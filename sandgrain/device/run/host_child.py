"""The child process of `host_process` and `host_kept`: loads a model's C and runs samples through it, under limits.

It is started as a file and imports nothing of Sandgrain, so that C that crashes or never ends takes down only this process. A request
comes on stdin, its answer goes to stdout. Files there can grow to the size of one answer and no further; with pipes the process stays,
and answers until nobody is left to ask.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
from contextlib import suppress
from typing import Any, BinaryIO

# Samples; bytes of one sample's inputs, of its outputs, of what its layers left; whether it brings feeds; seconds of computing.
HEAD = struct.Struct("<6Q")
STATUS = struct.Struct("<q")  # what the model returned
KILL, DEATH = 9, 1  # SIGKILL; prctl's PR_SET_PDEATHSIG
LOOK = 5  # seconds after which one that stays looks whether its parent is there


def _limit(memory: int, written: int, *, stays: bool) -> None:
    """No more memory and bytes written than these. Where the system has no such limits, the parent's clock remains."""
    if (
        sys.platform.startswith("linux") and not stays
    ):  # one that stays may be asked by other threads than the one that started it
        ctypes.CDLL(None).prctl(DEATH, KILL, 0, 0, 0)  # ends with its parent, however that ends
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, written), (resource.RLIMIT_AS, memory)):
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):
            continue  # a smaller limit stands already, or the system knows no such limit


def _seconds(more: int, *, stays: bool) -> None:
    """So many seconds of computing from now on."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    most, (_, hard) = int(used.ru_utime + used.ru_stime) + more, resource.getrlimit(resource.RLIMIT_CPU)
    with suppress(OSError, ValueError):  # a smaller limit stands already
        resource.setrlimit(resource.RLIMIT_CPU, (most, hard if stays else most))


def _asked(requests: BinaryIO, parent: int) -> bytes:
    """The head of the next request, b"" where nobody is left to ask."""
    while os.name == "posix" and not select.select([requests], [], [], LOOK)[0]:
        if os.getppid() != parent:
            return b""
    return requests.read(HEAD.size)


def _loaded(library: str) -> Any:
    run = ctypes.CDLL(library).sg_run_all
    run.restype = ctypes.c_int64
    return run


def _answer(run: Any, head: bytes, requests: BinaryIO, replies: BinaryIO, *, stays: bool) -> None:
    samples, given, gives, leaves, feeding, seconds = HEAD.unpack(head)
    inputs = requests.read(samples * given)
    outputs, left = ctypes.create_string_buffer(samples * gives), ctypes.create_string_buffer(samples * leaves)
    _seconds(seconds, stays=stays)
    status = run(ctypes.c_char_p(inputs), outputs, left, ctypes.c_int64(samples), ctypes.c_int64(feeding))
    for piece in (STATUS.pack(status), outputs.raw[: samples * gives], left.raw[: samples * leaves]):
        replies.write(piece)
    replies.flush()


def main() -> None:
    library, memory, written, stays = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "stays"
    parent = os.getppid()
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)  # what the C prints is nobody's answer
    _limit(memory, written, stays=stays)
    run: Any = None
    while len(head := _asked(requests, parent)) == HEAD.size:
        run = run or _loaded(library)
        _answer(run, head, requests, replies, stays=stays)


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing that the C wanted done at the end is
