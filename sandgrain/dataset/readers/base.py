"""What a format's reader offers, the limits that all of them keep, and how values become samples.

A reader never trusts what a header says: sizes are compared with these limits, and with the bytes that are there, before
memory is taken for them. The limits let every legal recording be decoded in under 400 MiB beside the libraries.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset.records import Layout, option

MAX_FILE = 1 << 30  # bytes of a file: a gigabyte of table is read in minutes
MAX_VALUES = 1 << 25  # of one recording, all channels: 35 minutes at 16 kHz, 64 MiB as int16
MAX_CHANNELS = 1024  # or columns: no board has that many sensors
MAX_ROWS = 1 << 26  # of a table, over all its recordings
MAX_RECORDS = 1 << 17  # in one file: the list of them goes through a pipe
MAX_UNKNOWN = 1 << 14  # places of a recording where numbers are missing: a line of a manifest names them
MAX_PIXELS = 1 << 24  # 16.7 megapixels take 64 MiB while an image is decoded, and as much again while it is turned
MAX_UNPACKED = 1 << 30  # bytes that a compressed file may give
MAX_RATIO = 100  # unpacked / packed of more than SMALL bytes; recordings reach 10, a bomb made by deflate 1032
SMALL = 1 << 26  # bytes: what this little unpacks to harms nobody
MAX_JSON = 1 << 24  # bytes: a parsed document takes about 20 times its text
MAX_REASON = 600  # characters that say why a file is bad
MAX_LINE = 1 << 16  # bytes of a table's line: 1024 columns of 60 characters
MIN_RATE, MAX_RATE = 1e-6, 1e6  # Hz: a value every eleven days, and the fastest converters of microcontrollers
INT16_MIN, INT16_MAX = -32768, 32767


@dataclass(frozen=True, slots=True)
class RateOptions:
    """What is done about other rates, and about times that are not even."""

    resample: bool = option(
        False,
        "Audio of another rate: resample it to `rate`; otherwise such a file is bad. Tables with a `time_column`: put the rows on an "
        "even grid of `rate`, on straight lines between them; gaps of more than ten steps end a recording, and are reported.",
    )


class BadFileError(UsageError):
    """A file that cannot be taken; the message is the reason, without the file's name, in one line. What makes it longer than MAX_REASON
    characters is cut from its middle: the cause stands first and the way out last."""

    def __init__(self, message: str) -> None:
        super().__init__(message.replace("\n", "\\n"))
        said = str(self)
        if len(said) > MAX_REASON:
            self.args = (f"{said[: MAX_REASON // 2]}...{said[-MAX_REASON // 2 + 3 :]}",)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What the rows of a recording have beside their values. `times`: float64 [n], seconds; `labels`: int32 [n], which of `texts`; None where
    there are none."""

    times: Array | None = None
    labels: Array | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One decoded recording.

    `data`: int16 [samples, channels] or uint8 [height, width, channels]. `rate`: Hz, 0 where the file does not say or for
    an image. `index`: 0 when the file is one recording, otherwise its place in the file, from 1. `label`, `group`: what the
    file itself says, or None. `clipped`: values that int16 could not hold. `note`: what was odd about the file and was put up
    with, one line, or "".
    """

    data: Array
    rate: float = 0.0
    index: int = 0
    label: str | None = None
    group: str | None = None
    clipped: int = 0
    note: str = ""
    start: float = math.nan  # the time of the first sample, in seconds, where rows have a time
    origin: float = math.nan  # the time that the file begins at, where that is another one
    series: Series | None = None  # of a table that is to be joined
    numbers: Array | None = None  # float64 [samples], or [1] for all: what a model is to give, see `targets`; NaN: nobody says

    def between(self, first: int, end: int) -> Sample:
        """The samples from `first` to `end`, that one left out, with their numbers."""
        numbers = self.numbers if self.numbers is None or len(self.numbers) == 1 else self.numbers[first:end]
        return replace(self, data=self.data[first:end], numbers=numbers)


class Within:
    """A stream of `size` bytes that is never asked for more than it has left.

    Pillow reads as many bytes as a chunk's header claims, and Python takes memory for them before it looks what is there.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, count: int = -1) -> bytes:
        left = max(self._size - self._stream.tell(), 0)
        return self._stream.read(left if count is None or count < 0 else min(count, left))


class Reader(Protocol):
    """A module of this folder.

    It may have ALSO: suffixes that it reads where the layout's `files` names them; and OWN_CODE, true where no native library meets
    the content of a file, so that a few small ones may be read without a process of their own; and `cuts_at_changes(layout)`, where its
    recordings may follow one another without a gap: whether they do, a new one where the label is another.
    """

    KINDS: tuple[str, ...]
    SUFFIXES: tuple[str, ...]
    WHAT: str  # "a CSV table"
    OPTIONS: tuple[type, ...]  # dataclasses of `records.option` fields: what it can be told

    def needs(self, suffix: str, layout: Layout) -> tuple[str, ...]:
        """Modules beyond numpy that files of this suffix are read with."""

    def sniff(self, head: bytes) -> str:
        """What the content is, such as "a WAV file", when its first 64 bytes show that this reader reads it; or ""."""

    def read(self, stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
        """The recordings of a file of `size` bytes, one after the other. Raises BadFileError."""


def digest(data: Array, numbers: Array | None = None) -> str:
    """SHA-256 of dtype, shape and samples (little-endian, C order), and of the `numbers` that belong to them, in hexadecimal."""
    whole = hashlib.sha256()
    for part in (data,) if numbers is None else (data, numbers):
        whole.update(f"{part.dtype.name} {' '.join(map(str, part.shape))}\n".encode())
        whole.update(np.ascontiguousarray(part, part.dtype if sys.byteorder == "little" else part.dtype.newbyteorder("<")).data)
    return whole.hexdigest()


def check_rate(rate: float) -> float:
    """`rate` in Hz when it is one that exists. Raises BadFileError."""
    if not (math.isfinite(rate) and MIN_RATE <= rate <= MAX_RATE):
        raise BadFileError(f"its sampling rate is {rate:g} Hz; rates from {MIN_RATE:g} to {MAX_RATE:g} Hz are read")
    return rate


def check_values(rows: int, channels: int) -> None:
    """Raises BadFileError for a recording that is empty or beyond the limits."""
    if channels > MAX_CHANNELS:
        raise BadFileError(f"it has {channels} channels; at most {MAX_CHANNELS} are read")
    if rows <= 0 or channels <= 0:
        raise BadFileError("it holds no samples")
    if rows * channels > MAX_VALUES:
        raise BadFileError(f"a recording of {rows} x {channels} values is too long; at most {MAX_VALUES} are read")


def check_unpacked(unpacked: int, packed: int) -> None:
    """Raises BadFileError for what grows beyond measure when it is unpacked (both in bytes)."""
    if unpacked > MAX_UNPACKED or (unpacked > SMALL and unpacked > MAX_RATIO * max(1, packed)):
        raise BadFileError(f"it unpacks to {unpacked} bytes from {packed}, as no recording does")


def to_int16(counts: Array) -> tuple[Array, int]:
    """Finite float64 counts rounded to int16 (halves to even), and how many had to be clipped."""
    rounded = np.rint(counts)
    clipped = int(np.count_nonzero((rounded > INT16_MAX) | (rounded < INT16_MIN)))
    return np.clip(rounded, INT16_MIN, INT16_MAX).astype(np.int16), clipped


def one_line(error: BaseException) -> str:
    """The first line of an error's message, or its name."""
    text = re.sub(r"<_io\.\w+ [^>]*>", "it", (str(error).splitlines() or [""])[0]).strip()  # the stream, as decoders name it
    return plain(text, 120) or type(error).__name__


def load_package(name: str, what: str) -> None:
    """Raises BadFileError, saying what to install, when an optional package is missing."""
    import importlib

    try:
        importlib.import_module(name)
    except ImportError:
        raise BadFileError(f"reading {what} needs {name.partition('.')[0]}; pip install 'sandgrain[data]'") from None
