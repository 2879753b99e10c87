"""What earlier reading found out: a file is decoded again only when its path, size or time of change is another.

One file a data set and layout, in a folder of the user's cache: a head line, then [path, size, mtime_ns, reply]. It is written
anew each time, so that what is gone from the data is gone from it too. A damaged cache is an empty one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import IO

from sandgrain.base import files
from sandgrain.dataset.manifest import layout_json
from sandgrain.dataset.pool import MAX_REPLY, Reply, parse_reply
from sandgrain.dataset.records import Layout
from sandgrain.dataset.walk import MAX_FILES, Found

FORMAT = 2  # to be raised when a reader's results change


class Cache:
    """`get` what was found before; `put` what is found now. Leaving the `with` writes it, unless an error came."""

    def __init__(self, folder: Path, root: Path, layout: Layout) -> None:
        head = json.dumps([FORMAT, os.fspath(root), layout_json(layout)], sort_keys=True)
        self._head = head.encode() + b"\n"
        self._path = folder / f"ingest-{hashlib.sha256(self._head).hexdigest()[:24]}.jsonl"
        self._known = self._read()
        self._atomic = files.output(self._path)
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> Cache:
        self._stream = self._atomic.__enter__()
        self._stream.write(self._head)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._atomic.__exit__(kind, error, trace)

    def get(self, file: Found) -> Reply | None:
        """What was found in this very file, or None; it is kept for the next time."""
        line = self._known.pop(file.path, None)
        if line is None:
            return None
        _, size, mtime_ns, value = json.loads(line)
        if (size, mtime_ns) != (file.size, file.mtime_ns):
            return None
        reply = parse_reply(value)
        if reply is not None and self._stream is not None:
            self._stream.write(line)
        return reply

    def put(self, file: Found, reply: Reply) -> None:
        """Keep what was found."""
        assert self._stream is not None
        rows = reply if isinstance(reply, str) else [astuple(d) for d in reply]
        self._stream.write(json.dumps([file.path, file.size, file.mtime_ns, rows]).encode() + b"\n")

    def _read(self) -> dict[str, bytes]:
        known: dict[str, bytes] = {}
        try:
            with self._path.open("rb") as stream:
                if stream.readline(len(self._head) + 1) != self._head:
                    return {}
                while (line := stream.readline(MAX_REPLY)) and len(known) < MAX_FILES:
                    value = json.loads(line)
                    if not isinstance(value, list) or len(value) != 4 or not isinstance(value[0], str):
                        return {}
                    known[value[0]] = line if line.endswith(b"\n") else line + b"\n"
        except (OSError, ValueError, RecursionError):
            return {}
        return known
