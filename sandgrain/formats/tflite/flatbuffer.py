"""A bounds-checked reader of flatbuffers: nothing is read before its place and length are known to be inside the file.

Offsets may overlap, alias or point backwards: each step only costs what it decodes, the schema bounds the depth, and a budget
bounds the sum. Layout: FlatBuffers' "Internals" document (little endian; vtables of 16-bit field offsets).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError

SCALARS = {
    "bool": struct.Struct("<B"),
    "i8": struct.Struct("<b"),
    "u8": struct.Struct("<B"),
    "i32": struct.Struct("<i"),
    "u32": struct.Struct("<I"),
    "u64": struct.Struct("<Q"),
    "f32": struct.Struct("<f"),
}
U16, U32, I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")
VECTORS: dict[str, np.dtype[Any]] = {"i32": np.dtype("<i4"), "i64": np.dtype("<i8"), "f32": np.dtype("<f4"), "u8": np.dtype("u1")}

MAX_TABLES = 1 << 14  # in one vector: more than any model for a microcontroller has
MAX_STRING = 1 << 10  # bytes of a string that are decoded; the rest is dropped
TABLE_COST = 64  # bytes of budget a table costs


@dataclass(slots=True)
class Source:
    """The file, and how many bytes may still be decoded: files that share a part a thousand times run out."""

    data: bytes
    budget: int = field(init=False)

    def __post_init__(self) -> None:
        self.budget = 4 * len(self.data) + (1 << 20)

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            broken("it names the same bytes over and over")

    def number(self, kind: struct.Struct, at: int) -> int:
        """The integer at byte `at`."""
        if not 0 <= at <= len(self.data) - kind.size:
            broken(f"byte {at} is read, the file ends at {len(self.data)}")
        return int(kind.unpack_from(self.data, at)[0])

    def target(self, at: int) -> int:
        """Where the offset at byte `at` points."""
        return at + self.number(U32, at)


def broken(fact: str) -> None:
    """Raise ModelError: the file breaks the format."""
    raise ModelError(f"not a readable .tflite file: {fact}; export the model again")


def root(data: bytes, identifier: bytes) -> Table:
    """The root table of a file that carries `identifier`."""
    if len(data) < 8 or data[4:8] != identifier:
        broken(f"it lacks the mark {identifier.decode()}")
    source = Source(data)
    return table_at(source, source.target(0))


def table_at(source: Source, at: int) -> Table:
    """The table at byte `at`, its vtable and extent checked."""
    source.spend(TABLE_COST)
    vtable = at - source.number(I32, at)
    size, extent = source.number(U16, vtable), source.number(U16, vtable + 2)
    if size < 4 or vtable + size > len(source.data) or extent < 4 or at + extent > len(source.data):
        broken(f"the table at byte {at} does not fit")
    return Table(source, at, vtable, size, extent)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Fields are named by slot; an absent field gives the default."""

    source: Source
    at: int
    vtable: int
    size: int
    extent: int

    def _field(self, slot: int, width: int) -> int | None:
        """Byte position of field `slot`, None when it is absent."""
        entry = 4 + 2 * slot
        if entry + 2 > self.size:
            return None
        offset = self.source.number(U16, self.vtable + entry)
        if offset == 0:
            return None
        if offset < 4 or offset + width > self.extent:
            broken(f"field {slot} of the table at byte {self.at} lies outside it")
        return self.at + offset

    def has(self, slot: int) -> bool:
        return self._field(slot, 0) is not None

    def scalar(self, slot: int, kind: str, default: Any = 0) -> Any:
        """A number (kinds: SCALARS); "bool" gives a bool."""
        reader = SCALARS[kind]
        at = self._field(slot, reader.size)
        if at is None:
            return default
        value = reader.unpack_from(self.source.data, at)[0]
        return bool(value) if kind == "bool" else value

    def table(self, slot: int) -> Table | None:
        at = self._field(slot, 4)
        return None if at is None else table_at(self.source, self.source.target(at))

    def _vector(self, slot: int, width: int) -> tuple[int, int]:
        """(position of the first item, number of items) of a vector whose items are `width` bytes."""
        at = self._field(slot, 4)
        if at is None:
            return 0, 0
        start = self.source.target(at)
        count = self.source.number(U32, start)
        if count * width > len(self.source.data) - start - 4:
            broken(f"the vector at byte {start} claims {count} items")
        return start + 4, count

    def length(self, slot: int) -> int:
        """Number of bytes in a vector of bytes."""
        return self._vector(slot, 1)[1]

    def array(self, slot: int, kind: str) -> Array:
        """A vector of numbers (kinds: VECTORS) as a read-only view; empty when absent."""
        dtype = VECTORS[kind]
        start, count = self._vector(slot, dtype.itemsize)
        self.source.spend(count * dtype.itemsize)
        return np.frombuffer(self.source.data, dtype, count, start)

    def ints(self, slot: int) -> list[int]:
        """A vector of int32."""
        return [int(v) for v in self.array(slot, "i32")]

    def tables(self, slot: int) -> list[Table]:
        start, count = self._vector(slot, 4)
        if count > MAX_TABLES:
            broken(f"a list of {count} parts, more than {MAX_TABLES}")
        return [table_at(self.source, self.source.target(start + 4 * k)) for k in range(count)]

    def string(self, slot: int) -> str:
        """A string, cut to MAX_STRING bytes; bytes that are not UTF-8 become U+FFFD. Empty when absent."""
        start, count = self._vector(slot, 1)
        count = min(count, MAX_STRING)
        self.source.spend(count)
        return self.source.data[start : start + count].decode(errors="replace")
