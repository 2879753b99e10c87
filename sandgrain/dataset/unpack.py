"""Text files that gzip has packed, read as if they were not: unpacked as they are read, and never beyond measure."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from sandgrain.dataset.names import PACKED
from sandgrain.dataset.readers.base import MAX_FILE, BadFileError, check_unpacked, one_line

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MEASURED = 1 << 19  # bytes of the beginning: what is shorter has a size that is known


class _Unpacked(io.RawIOBase):
    """What a gzip file holds. It may be read again from the beginning, and is sought nowhere else."""

    def __init__(self, stream: BinaryIO, packed: int) -> None:
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")
        self._packed, self._given = packed, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._given

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset or whence:
            raise io.UnsupportedOperation("a packed file is read from its beginning")
        self._file.seek(0)
        self._given = 0
        return 0

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        try:
            data = self._file.read(len(view))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadFileError(f"is no whole gzip file ({one_line(error)})") from None
        self._given += len(data)
        check_unpacked(self._given, self._packed)
        view[: len(data)] = data
        return len(data)


def unpacked(stream: BinaryIO, path: str) -> tuple[BinaryIO, int]:
    """The bytes of file `path`, and how many there are: of a packed one those inside, MAX_FILE where there are many.

    Raises BadFileError, then or while it is read, for what is damaged or unpacks beyond measure.
    """
    size = os.fstat(stream.fileno()).st_size
    if not path.lower().endswith(PACKED):
        return stream, size
    inner = cast(BinaryIO, io.BufferedReader(_Unpacked(stream, size), 1 << 16))
    head = inner.read(MEASURED)
    inner.seek(0)
    if not head:
        raise BadFileError("is empty")
    return inner, len(head) if len(head) < MEASURED else MAX_FILE
