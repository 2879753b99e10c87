"""What earlier reading found out: a file is decoded again only when its content is another.

One file a data set and layout, in a folder of the user's cache: a head line, then [path, size, mtime_ns, sha256 of the file, reply].
The time of change is the short way to see that a file is the same; where it is another, as in a copy, the content is hashed. It is written
anew each time, so that what is gone from the data is gone from it too. A damaged cache is an empty one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from sandgrain.base import files
from sandgrain.base.reading import open_plain
from sandgrain.dataset.manifest import layout_json
from sandgrain.dataset.pool import MAX_REPLY, Reply, parse_reply
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from sandgrain.dataset.sensors import files_of
from sandgrain.dataset.walk import MAX_FILES, Found, open_inside

PIECE = 1 << 20  # bytes that are hashed at a time
FORMAT = 5  # to be raised when a reader's results change


class Cache:
    """`get` what was found before; `put` what is found now. Leaving the `with` writes it, unless an error came."""

    def __init__(self, folder: Path, root: Path, layout: Layout) -> None:
        self._root = root
        self._layout = layout
        head = json.dumps([FORMAT, layout_json(layout)], sort_keys=True)
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
        _, size, mtime_ns, sha256, value = json.loads(line)
        if size != file.size or (mtime_ns != file.mtime_ns and sha256 != self._hash(file)):
            return None
        reply = parse_reply(value)
        if reply is not None and self._stream is not None:
            self._write(file, sha256, value)
        return reply

    def put(self, file: Found, reply: Reply) -> None:
        """Keep what was found."""
        assert self._stream is not None
        rows = reply if isinstance(reply, str) else [astuple(d) for d in reply]
        self._write(file, self._hash(file), rows)

    def _write(self, file: Found, sha256: str, rows: Any) -> None:
        assert self._stream is not None
        self._stream.write(json.dumps([file.path, file.size, file.mtime_ns, sha256, rows]).encode() + b"\n")

    def _hash(self, file: Found) -> str:
        """Of the bytes of a recording's files, its label track among them; of a file that cannot be read one that no other has."""
        whole = hashlib.sha256()
        try:
            for path in files_of(file.path, self._layout):
                with open_inside(self._root, path, self._layout.links) as stream:
                    while piece := stream.read(PIECE):
                        whole.update(piece)
            return whole.hexdigest()
        except (BadFileError, OSError):
            return f"unread {file.path}"

    def _read(self) -> dict[str, bytes]:
        known: dict[str, bytes] = {}
        try:
            with open_plain(self._path) as stream:
                if stream.readline(len(self._head) + 1) != self._head:
                    return {}
                while (line := stream.readline(MAX_REPLY)) and len(known) < MAX_FILES:
                    value = json.loads(line)
                    if not isinstance(value, list) or len(value) != 5 or not isinstance(value[0], str):
                        return {}
                    known[value[0]] = line if line.endswith(b"\n") else line + b"\n"
        except (OSError, ValueError, RecursionError):
            return {}
        return known
