"""Arrays of .npz archives, read from a file that nobody vouches for: sizes are checked before memory is taken, nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

Array = npt.NDArray[Any]

MAX_BYTES = 1 << 30  # of one array, unpacked
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
READ_ERRORS = (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error)


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


def read_header(stream: IO[bytes], info: zipfile.ZipInfo) -> Header:
    """The header of an archive's .npy member, checked before memory is taken for what it claims. Raises one of READ_ERRORS."""
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"{info.filename} has an unknown version")
    head = Header(*HEADERS[version](stream))
    if head.dtype.hasobject:
        raise ValueError(f"{info.filename} holds Python objects, which are never unpickled")
    if min(head.shape, default=0) < 0 or head.size > min(info.file_size, MAX_BYTES):
        raise ValueError(f"{info.filename} claims {head.size} bytes and holds {info.file_size}, the limit is {MAX_BYTES}")
    return head


def read_body(stream: IO[bytes], info: zipfile.ZipInfo, head: Header) -> Array:
    """The next array of this header's shape. Raises one of READ_ERRORS."""
    data = stream.read(head.size)
    if len(data) != head.size:
        raise ValueError(f"{info.filename} is cut short")
    flat: Array = np.frombuffer(data, head.dtype)
    return flat.reshape(head.shape, order="F" if head.fortran else "C")
