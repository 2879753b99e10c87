"""Binary files that can be made again, with the digest of their content in front.

A file that was damaged, cut short or taken from elsewhere is told by its digest, before any of it is unpacked: the libraries that unpack
(numpy, PyTorch) believe what such a file says of itself. The digest keeps out damage, not a forger; for that caches are private.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from sandgrain.base import reading
from sandgrain.base.npy import Array

MARK = b"sandgrain 1 "  # and the digest in hexadecimal, and a line's end
HEAD = len(MARK) + 65  # bytes
MAX_BYTES = 4 << 30  # of a file
PIECE = 1 << 20  # bytes that are hashed at a time


def write(stream: IO[bytes], fill: Callable[[IO[bytes]], object]) -> None:
    """Have `fill` write the content to a new file that can be read and moved in; its digest is put in front. Raises OSError."""
    stream.write(bytes(HEAD))
    fill(stream)
    stream.seek(HEAD)
    digest = _digest(stream)
    stream.seek(0)
    stream.write(MARK + digest + b"\n")
    stream.flush()


def _digest(stream: IO[bytes]) -> bytes:
    """Of what is left of a stream. (`hashlib.file_digest` takes all of a BytesIO, wherever it stands.)"""
    whole = hashlib.sha256()
    while piece := stream.read(PIECE):
        whole.update(piece)
    return whole.hexdigest().encode()


@contextmanager
def opened(path: Path, limit: int = MAX_BYTES) -> Iterator[IO[bytes]]:
    """The file at `path`, at the beginning of its content, which is what was written. Raises OSError, or ValueError where it is not."""
    with reading.open_plain(path, limit) as stream:
        head = stream.read(HEAD)
        if head != MARK + _digest(stream) + b"\n":
            raise ValueError("it is not as it was written")
        stream.seek(HEAD)
        yield stream


def write_arrays(stream: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Arrays by name, as .npz. Raises OSError."""
    given: dict[str, Any] = {**arrays}
    write(stream, lambda inner: np.savez(inner, **given))


def read_arrays(path: Path) -> dict[str, Array] | None:
    """What `write_arrays` wrote; None where there is nothing, or nothing that can be believed."""
    try:
        with opened(path) as stream, np.load(stream, allow_pickle=False) as found:
            read = {name: found[name] for name in found.files}
        return (
            read if all(isinstance(value, np.ndarray) for value in read.values()) else None
        )  # numpy gives what is no array as bytes
    except Exception:  # a digest that was forged lets everything through that numpy and zipfile may raise
        return None
