"""CBOR (RFC 8949) of Edge Impulse's acquisition format. A small decoder: bounded in depth and items, made for plain values alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from sandgrain.dataset import acquisition
from sandgrain.dataset.readers.base import MAX_JSON, MAX_VALUES, BadFileError, RateOptions, Sample
from sandgrain.dataset.records import Layout
from sandgrain.dataset.tables import Scale, TableOptions

KINDS = ("audio", "motion")
SUFFIXES = (".cbor",)
WHAT = "a CBOR recording"
OWN_CODE = True
OPTIONS = (TableOptions, Scale, RateOptions)

MAX_DEPTH = 8
SIMPLE = {20: False, 21: True, 22: None, 23: None}
FLOATS = {25: ">e", 26: ">f", 27: ">d"}
BREAK = object()


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ()


def sniff(head: bytes) -> str:
    """See `base.Reader`: a map that begins with one of the format's own keys."""
    return (
        "a CBOR recording"
        if head[:1] in MAPS and any(key in head[1:16] for key in (b"iprotected", b"gpayload", b"isignature"))
        else ""
    )


MAPS = tuple(bytes([first]) for first in (*range(0xA1, 0xB8), 0xBF))


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`. One recording a file."""
    document = parse(stream)
    if not acquisition.is_one(document):
        raise BadFileError("is CBOR, but no Edge Impulse acquisition: it has no payload with sensors and values")
    yield acquisition.sample(document, layout)


def parse(stream: BinaryIO) -> Any:
    """The first value of a CBOR file. Raises BadFileError."""
    raw = stream.read(MAX_JSON + 1)
    if len(raw) > MAX_JSON:
        raise BadFileError(f"is longer than {MAX_JSON} bytes; use CSV or WAV for recordings of this size")
    try:
        value = _Decoder(raw).value(0)
    except (struct.error, IndexError):
        raise BadFileError("it is cut short") from None
    if value is BREAK:
        raise BadFileError("it is no CBOR")
    return value


class _Decoder:
    """Reads values from bytes, one after the other."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at, self._items = raw, 0, 0

    def value(self, depth: int) -> Any:
        """The next value, or BREAK. Raises BadFileError."""
        self._items += 1
        if depth > MAX_DEPTH or self._items > 2 * MAX_VALUES:
            raise BadFileError("its lists are nested too deeply, or too long")
        first = self._raw[self._at]
        self._at += 1
        major, low = first >> 5, first & 31
        if major == 7:
            return self._simple(low)
        if low == 31:
            return self._endless(major, depth)
        count = self._argument(low)
        if major == 0:
            return count
        if major == 1:
            return -1 - count
        if major in (2, 3):
            return self._text(major, count)
        if major == 6:  # a tag says what the next value is for
            return self.value(depth + 1)
        if count > len(self._raw) - self._at:
            raise BadFileError("it is cut short")
        if major == 4:
            return [self.value(depth + 1) for _ in range(count)]
        return {self._key(depth): self.value(depth + 1) for _ in range(count)}

    def _argument(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise BadFileError("it is no CBOR")
        size = 1 << (low - 24)
        return int.from_bytes(self._bytes(size), "big")

    def _bytes(self, count: int) -> bytes:
        piece = self._raw[self._at : self._at + count]
        if len(piece) < count:
            raise BadFileError("it is cut short")
        self._at += count
        return piece

    def _text(self, major: int, count: int) -> Any:
        piece = self._bytes(count)
        return piece if major == 2 else piece.decode("utf-8", "replace")

    def _key(self, depth: int) -> str:
        key = self.value(depth + 1)
        if key is BREAK or not isinstance(key, str | int):
            raise BadFileError("it has keys that are no text")
        return str(key)

    def _simple(self, low: int) -> Any:
        if low == 31:
            return BREAK
        if low in FLOATS:
            return struct.unpack(FLOATS[low], self._bytes(struct.calcsize(FLOATS[low])))[0]
        if low == 24:
            low = self._bytes(1)[0]
        if low not in SIMPLE:
            raise BadFileError("it is no CBOR")
        return SIMPLE[low]

    def _endless(self, major: int, depth: int) -> Any:
        """A list, map or text without a length, up to its end."""
        found: list[Any] = []
        if major not in (2, 3, 4, 5):
            raise BadFileError("it is no CBOR")
        while (item := self.value(depth + 1)) is not BREAK:
            found.append(item)
        if major == 4:
            return found
        if major == 5:
            if len(found) % 2:
                raise BadFileError("it is no CBOR")
            return {str(key): item for key, item in zip(found[::2], found[1::2], strict=True)}
        kind: type = bytes if major == 2 else str
        if not all(isinstance(item, kind) for item in found):
            raise BadFileError("it is no CBOR")
        return kind().join(found)
