"""Arrays of .npy files and .npz archives, read from a file that nobody vouches for: sizes are checked before memory is taken, nothing is unpickled."""

from __future__ import annotations

import ast
import math
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAX_BYTES = 1 << 30  # of one array, unpacked
MAX_HEADER = 10_000  # bytes; numpy writes 118
MAX_DIMS = 32
LAST_CODE = 0x10FFFF  # of Unicode
SMALL = 1 << 26  # bytes: what this little unpacks to harms nobody
MAX_RATIO = 100  # unpacked / packed of more than SMALL bytes; samples reach 10, a bomb made by deflate 1032
MAGIC = b"\x93NUMPY"
LENGTHS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}  # by version: how the length of the header is written
KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes
DTYPE = re.compile(r"[<>|=]?[?biufcSU][0-9]{0,6}|[<>|=]?[?]")  # plain numbers and texts: no records, no arrays in arrays
READ_ERRORS = (
    OSError, ValueError, OverflowError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error, struct.error,
)  # fmt: skip


class Held(Protocol):
    """What holds an array: a member of an archive, or a `File`."""

    @property
    def filename(self) -> str: ...
    @property
    def file_size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class File:
    """An .npy file of `file_size` bytes; `filename`: what errors call it."""

    filename: str
    file_size: int


@dataclass(frozen=True, slots=True)
class Header:
    """What an .npy file says that it holds; `size` in bytes, of all of it."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def row(self) -> Header:
        """The header of one index of the first dimension."""
        return Header(self.shape[1:], self.fortran, self.dtype)

    @property
    def turned(self) -> Header:
        """The header of the transposed array, whose bytes are the same."""
        return Header(self.shape[::-1], not self.fortran, self.dtype)

    def first(self, rows: int | None) -> Header:
        """The header of at most so many of the first dimension, where they lie at the front of the array's bytes."""
        if rows is None or not self.shape or self.fortran:
            return self
        return Header((min(rows, self.shape[0]), *self.shape[1:]), self.fortran, self.dtype)


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """A member, if it is packed as numpy packs and does not unpack beyond measure. Raises one of READ_ERRORS."""
    if info.compress_type not in KINDS:
        raise ValueError(f"{info.filename} is packed in a way that numpy does not use")
    if info.file_size > SMALL and info.file_size > MAX_RATIO * max(1, info.compress_size):
        raise ValueError(f"{info.filename} unpacks to {info.file_size} bytes from {info.compress_size}, as no samples do")
    return archive.open(info)


def read_header(stream: IO[bytes], info: Held) -> Header:
    """The header of an .npy file, checked before memory is taken for what it claims. Raises one of READ_ERRORS."""
    head = _parsed(_header_text(stream, info.filename), info.filename)
    if head.size > min(info.file_size, MAX_BYTES):
        raise ValueError(f"{info.filename} claims {head.size} bytes and holds {info.file_size}, the limit is {MAX_BYTES}")
    return head


def _header_text(stream: IO[bytes], name: str) -> str:
    start = stream.read(8)
    if start[:6] != MAGIC or len(start) < 8:
        raise ValueError(f"{name} is not an array")
    form = LENGTHS.get((start[6], start[7]))
    if form is None:
        raise ValueError(f"{name} has an unknown version")
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    if length > MAX_HEADER:
        raise ValueError(f"{name} has a header of {length} bytes")
    text = stream.read(length)
    if len(text) != length:
        raise ValueError(f"{name} is cut short")
    return text.decode("utf-8" if start[6] == 3 else "latin-1")


def _parsed(text: str, name: str) -> Header:
    """The header from the Python literal that it is written as."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has opinions on how the literal is written
            found = ast.literal_eval(text.strip())
        shape, fortran, kind = found["shape"], found["fortran_order"], found["descr"]
    except (SyntaxError, ValueError, TypeError, LookupError, MemoryError, RecursionError):
        raise ValueError(f"{name} has a damaged header") from None
    if not isinstance(shape, tuple) or len(shape) > MAX_DIMS or any(type(n) is not int or not 0 <= n < 1 << 48 for n in shape):
        raise ValueError(f"{name} has a damaged shape")
    if type(fortran) is not bool:
        raise ValueError(f"{name} has a damaged header")
    if isinstance(kind, str) and "O" in kind:
        raise ValueError(f"{name} holds Python objects, which are never unpickled; save numbers of one type")
    if not isinstance(kind, str) or not DTYPE.fullmatch(kind):
        raise ValueError(f"{name} holds neither numbers nor text")
    try:
        dtype = np.dtype(kind)
    except TypeError:
        raise ValueError(f"{name} holds elements of an unknown type") from None
    if dtype.itemsize == 0:
        raise ValueError(f"{name} holds elements of no bytes")
    return Header(shape, fortran, dtype)


def read_body(stream: IO[bytes], info: Held, head: Header) -> Array:
    """The next array of this header's shape. Raises one of READ_ERRORS."""
    data = stream.read(head.size)
    if len(data) != head.size:
        raise ValueError(f"{info.filename} is cut short")
    flat: Array = np.frombuffer(data, head.dtype)
    if head.dtype.kind == "U":
        codes = np.frombuffer(data, np.dtype(np.uint32).newbyteorder(head.dtype.byteorder))
        if ((codes > LAST_CODE) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise ValueError(
                f"{info.filename} holds text that is none"
            )  # Python would make no string of it, or one that no file takes
    return flat.reshape(head.shape, order="F" if head.fortran else "C")
