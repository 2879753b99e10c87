"""The process that decodes: native libraries meet files from outside only here, with limits.

It is started by `sandgrain.dataset.pool`, through `start`. On stdin it gets its settings as a line of JSON, then lines of files, each [[path, bytes],
...]; to each it answers with a line of one reply a file. JSON and not pickles: a decoder that was taken over can lie about a
recording, but not reach the process that asked. It can write no file and dump no core. A file that takes too long is ended by
the timer's signal, which works while native code runs, too.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

from sandgrain.dataset.decode import describe
from sandgrain.dataset.manifest import layout_of
from sandgrain.dataset.names import escape
from sandgrain.dataset.readers import readers
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout

MEMORY = 384 << 20  # bytes of address space beyond what the libraries take
CPU_SECONDS = 30.0  # a file of any size
BYTES_A_SECOND = 1 << 20  # and this much more time for its bytes; tables are read several times as fast
WALL = 10  # times the CPU's seconds: a disk may be slow, but not stand still
REASON = 300  # characters
TOO_LARGE = f"takes more than {MEMORY >> 20} MiB to decode"


def main() -> None:
    """Serve until stdin ends."""
    settings = json.loads(sys.stdin.buffer.readline())
    layout = layout_of(settings["layout"])
    readers()
    for name in settings["modules"]:
        importlib.import_module(name)
    out = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # libraries that print cannot disturb the answers
    limit(settings["memory"])
    out.write(b'"ready"\n')
    out.flush()
    os.dup2(null, 2)
    root = Path(settings["root"])
    for line in sys.stdin.buffer:
        replies = [timed(root, path, size, layout) for path, size in json.loads(line)]
        out.write(json.dumps(replies).encode() + b"\n")
        out.flush()


def limit(memory: int) -> None:
    """No more than `memory` bytes beyond what is taken now, no files written, no core dumped."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    most = pages * resource.getpagesize() + memory
    for what, value in ((resource.RLIMIT_AS, most), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (value, value))


def timed(root: Path, path: str, size: int, layout: Layout) -> Any:
    """The reply for one file: its recordings as lists, or the reason why there are none."""
    seconds = CPU_SECONDS + size / BYTES_A_SECOND
    signal.setitimer(signal.ITIMER_PROF, seconds)  # neither signal has a handler, so each ends the process
    signal.setitimer(signal.ITIMER_REAL, seconds * WALL)
    try:
        return [astuple(d) for d in describe(root, path, layout)]
    except BadFileError as error:
        return escape(str(error), REASON)
    except MemoryError:
        return TOO_LARGE
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
