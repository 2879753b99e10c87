"""Arrays from HDF5 files as Keras writes them: groups of the first kind, and arrays that lie in one piece.

The format: HDF5 File Format Specification, version 3.0 (The HDF Group), sections II to IV. Only what h5py writes by default is
known here, in a few plain steps over bytes, so that a damaged file can neither crash nor hang the reader. No array is copied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, printable

SIGNATURE = b"\x89HDF\r\n\x1a\n"
ROOT_HEADER = 64  # where the superblock says where the root's object header is
NOWHERE = (1 << 64) - 1
MAX_OBJECTS = 1 << 15
MAX_DEPTH = 24
MAX_BLOCKS = 64  # of one object header
MAX_RANK = 8
DATASPACE, DATATYPE, LAYOUT, FILTERS, CONTINUATION, SYMBOLS = 0x01, 0x03, 0x08, 0x0B, 0x10, 0x11
EXPONENT_BITS = {2: 5, 4: 8, 8: 11}
WAY_OUT = "save the model again, or give the live model"


@dataclass(frozen=True, slots=True)
class Place:
    """An array in the file: `shape`, `dtype` (None for one that is not of numbers, or packed), first byte."""

    shape: tuple[int, ...]
    dtype: str | None
    start: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * (int(self.dtype[2:]) if self.dtype else 0)


class Hdf5:
    """`places`: every array by its path, a/b/0. Raises ModelError for files that are damaged or of another kind."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        if data[:8] != SIGNATURE:
            raise _bad("does not begin as HDF5 does")
        if data[8:9] != b"\0" or data[13:15] != b"\x08\x08":
            raise _bad("is HDF5 of a version that Keras does not write")
        self.places: dict[str, Place] = {}
        self._seen: set[int] = set()
        self._group(self._int(ROOT_HEADER, 8), "", 0)
        if sum(p.nbytes for p in self.places.values()) > len(data):
            raise _bad("holds arrays that overlap")

    def array(self, path: str) -> Array:
        """A view of the array at `path`. Raises ModelError when there is none, or none of numbers."""
        place = self.places.get(path)
        if place is None:
            raise _bad(f"has no array {printable(path, 120)}")
        if place.dtype is None:
            raise _bad(f"holds {printable(path, 120)} as something else than plain numbers")
        count = math.prod(place.shape)
        return np.frombuffer(self._data, place.dtype, count, place.start if count else 0).reshape(place.shape)

    # --- groups ------------------------------------------------------------------------------------------------------

    def _group(self, header: int, path: str, depth: int) -> None:
        if header in self._seen or depth > MAX_DEPTH or len(self._seen) > MAX_OBJECTS:
            raise _bad("has groups in a circle, or too many of them")
        self._seen.add(header)
        messages = dict(self._messages(header))
        if SYMBOLS in messages:
            tree, heap = self._int(messages[SYMBOLS], 8), self._int(messages[SYMBOLS] + 8, 8)
            for name, child in self._members(tree, heap):
                self._group(child, f"{path}/{name}" if path else name, depth + 1)
        elif DATASPACE in messages:
            self.places[path] = self._place(messages)
        else:
            raise _bad("has groups of a kind that Keras does not write")

    def _members(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """(name, object header) of a group's members: the leaves of a B-tree hold names as offsets into a heap."""
        self._need(heap, b"HEAP")
        names, size = self._int(heap + 24, 8), self._int(heap + 8, 8)
        todo = [tree]
        while todo:
            node = todo.pop()
            if node in self._seen or len(self._seen) > MAX_OBJECTS:
                raise _bad("has groups in a circle, or too many of them")
            self._seen.add(node)
            if self._bytes(node, 4) == b"TREE":
                count = self._int(node + 6, 2)
                todo += [self._int(node + 32 + 16 * k, 8) for k in range(count)]
                continue
            self._need(node, b"SNOD")
            for k in range(self._int(node + 6, 2)):
                entry = node + 8 + 40 * k
                if self._int(entry + 16, 4) > 1:
                    raise _bad("has links to elsewhere")
                yield self._name(names, size, self._int(entry, 8)), self._int(entry + 8, 8)

    def _name(self, names: int, size: int, offset: int) -> str:
        self._bytes(names, size)
        end = self._data.find(b"\0", names + offset, names + size)
        if offset >= size or end < 0 or end - names - offset > 500:
            raise _bad("has a group without a name")
        return self._data[names + offset : end].decode("utf-8", "replace")

    # --- objects -----------------------------------------------------------------------------------------------------

    def _messages(self, header: int) -> Iterator[tuple[int, int]]:
        """(kind, first byte) of an object's header messages."""
        if self._int(header, 1) != 1:
            raise _bad("has objects of a version that Keras does not write")
        blocks = [(header + 16, self._int(header + 8, 4))]
        done = 0
        while done < len(blocks):
            at, size = blocks[done]
            self._bytes(at, size)
            end, done = at + size, done + 1
            while at + 8 <= end:
                kind, length = self._int(at, 2), self._int(at + 2, 2)
                if at + 8 + length > end:
                    raise _bad("has a message that does not end")
                if kind == CONTINUATION:
                    blocks.append((self._int(at + 8, 8), self._int(at + 16, 8)))
                    if len(blocks) > MAX_BLOCKS:
                        raise _bad("has an object in too many pieces")
                yield kind, at + 8
                at += 8 + length

    def _place(self, messages: dict[int, int]) -> Place:
        shape = self._shape(messages[DATASPACE])
        if DATATYPE not in messages or LAYOUT not in messages:
            raise _bad("has an array without a type or a place")
        dtype, layout = self._dtype(messages[DATATYPE]), messages[LAYOUT]
        if dtype is None or FILTERS in messages or self._int(layout, 1) not in (3, 4) or self._int(layout + 1, 1) != 1:
            return Place(shape, None, 0)
        place = Place(shape, dtype, self._int(layout + 2, 8))
        if place.nbytes:
            self._bytes(place.start, place.nbytes)
        return place

    def _shape(self, at: int) -> tuple[int, ...]:
        version, rank = self._int(at, 1), self._int(at + 1, 1)
        if version not in (1, 2) or rank > MAX_RANK:
            raise _bad("has an array of a shape that Keras does not write")
        first = at + (8 if version == 1 else 4)
        return tuple(self._int(first + 8 * k, 8) for k in range(rank))

    def _dtype(self, at: int) -> str | None:
        """numpy's name of a datatype: <f4; None for what is neither integers nor IEEE floats."""
        kind, bits, size = self._int(at, 1) & 15, self._int(at + 1, 1), self._int(at + 4, 4)
        order = ">" if bits & 1 else "<"
        if kind == 0 and size in (1, 2, 4, 8):
            return f"{order}{'i' if bits & 8 else 'u'}{size}"
        if kind == 1 and size in EXPONENT_BITS and self._int(at + 13, 1) == EXPONENT_BITS[size] and not bits & 0x40:
            return f"{order}f{size}"
        return None

    # --- bytes -------------------------------------------------------------------------------------------------------

    def _bytes(self, at: int, size: int) -> bytes:
        if at + size > len(self._data):
            raise _bad("ends too early")
        return self._data[at : at + min(size, 8)]

    def _int(self, at: int, size: int) -> int:
        return int.from_bytes(self._bytes(at, size), "little")

    def _need(self, at: int, mark: bytes) -> None:
        if self._bytes(at, 4) != mark:
            raise _bad("is damaged")


def _bad(fact: str) -> ModelError:
    return ModelError(f"the file of weights {fact}; {WAY_OUT}")
