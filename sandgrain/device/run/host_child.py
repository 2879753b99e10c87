"""The child process of `sandgrain.device.run.host_process`: loads a model's C and runs samples through it, under limits.

It is started as a file and imports nothing of Sandgrain, so that C that crashes or never ends takes down only this process. Samples
come in on stdin, a file; the answer goes to stdout, a file that can grow to the size of the answer and no further.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# Samples; bytes of one sample's inputs, of its outputs, of what its layers left; whether it brings feeds.
HEAD = struct.Struct("<5Q")
STATUS = struct.Struct("<q")  # what the model returned
KILL, DEATH = 9, 1  # SIGKILL; prctl's PR_SET_PDEATHSIG


def _limit(memory: int, seconds: int, answer: int) -> None:
    """No more memory, time and bytes written than these. Where the system has no such limits, the parent's clock remains."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(DEATH, KILL, 0, 0, 0)  # ends with its parent, however that ends
    try:
        import resource
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, answer),
        (resource.RLIMIT_AS, memory),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):
            continue  # a smaller limit stands already, or the system knows no such limit


def main() -> None:
    library, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    request = sys.stdin.buffer
    samples, given, gives, leaves, feeding = HEAD.unpack(request.read(HEAD.size))
    inputs = request.read(samples * given)
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)  # what the C prints is nobody's answer
    outputs, left = ctypes.create_string_buffer(samples * gives), ctypes.create_string_buffer(samples * leaves)
    _limit(memory, seconds, STATUS.size + samples * (gives + leaves))
    run = ctypes.CDLL(library).sg_run_all
    run.restype = ctypes.c_int64
    status = run(ctypes.c_char_p(inputs), outputs, left, ctypes.c_int64(samples), ctypes.c_int64(feeding))
    for piece in (STATUS.pack(status), outputs.raw[: samples * gives], left.raw[: samples * leaves]):
        replies.write(piece)
    replies.flush()


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing that the C wanted done at the end is
