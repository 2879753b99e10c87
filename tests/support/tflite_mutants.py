"""Hostile model files: mutants of valid ones, the same for a seed on every machine.

Half of the mutants keep the structure whole and change values that the reader takes from it (shapes, indices, scales, options), so
that they get past the first checks. The others damage bytes: structure (offsets, lengths) is small numbers between large
stretches of weights, so most mutations pick words that hold a small number.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from sandgrain.base.errors import SandgrainError
from sandgrain.formats.tflite import flatbuffer, write
from sandgrain.formats.tflite import read as reader
from sandgrain.graph.ops import OPS
from tests.conftest import ROOT
from tests.support.draws import SeededDraw

MODELS = Path(os.environ.get("SANDGRAIN_MODELS", ROOT.parent / "shared" / "models"))
INTERESTING = (0, 1, 2, 4, 8, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def seeds() -> list[bytes]:
    """Valid models to start from: a sample of every op, and the models that others wrote where they are present."""
    found = [write.write(op.sample(SeededDraw(k))) for op in OPS.values() if op.foreign for k in range(2)]
    return found + [path.read_bytes() for path in sorted(MODELS.glob("*.tflite"))]


def mutant(models: Sequence[bytes], seed: int) -> bytes:
    """One mutant of one of `models`, mutated one to four times."""
    rng = random.Random(seed)
    base = models[seed % len(models)]
    data = bytearray(base)
    if rng.random() < 0.5 and values_read(base):
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            set_value(data, rng, values_read(base))
        return bytes(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(MUTATIONS)(data, rng, models)
    return bytes(data)


@cache
def values_read(model: bytes) -> tuple[tuple[int, str], ...]:
    """(byte, kind) of the numbers that the reader takes from `model`, a few of each long vector."""
    found: dict[tuple[int, str], None] = {}
    scalar, array = flatbuffer.Table.scalar, flatbuffer.Table.array

    def see_scalar(table: flatbuffer.Table, slot: int, kind: str, default: Any = 0) -> Any:
        at = table._field(slot, flatbuffer.SCALARS[kind].size)
        if at is not None:
            found[at, kind] = None
        return scalar(table, slot, kind, default)

    def see_array(table: flatbuffer.Table, slot: int, kind: str) -> Any:
        width = flatbuffer.VECTORS[kind].itemsize
        start, count = table._vector(slot, width)
        found.update({(start + k * width, kind): None for k in range(min(count, 6))})
        if count:
            found[start - 4, "u32"] = None  # its length
        return array(table, slot, kind)

    # A float model is refused, say: what was read before is enough.
    with mock.patch.multiple(flatbuffer.Table, scalar=see_scalar, array=see_array), contextlib.suppress(SandgrainError):
        reader.read(model, "model")
    return tuple(found)


def set_value(data: bytearray, rng: random.Random, places: Sequence[tuple[int, str]]) -> None:
    """One number becomes another: an edge of its kind, a neighbour, or a number that stands elsewhere."""
    at, kind = rng.choice(places)
    if kind == "f32":
        value = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e-38, 1e-30, 1e-9, 0.5, 1.0, 1e9, 1e30, 3e38))
        data[at : at + 4] = struct.pack("<f", value)
        return
    width = {"bool": 1, "i8": 1, "u8": 1, "i32": 4, "u32": 4}.get(kind, 8)
    old = int.from_bytes(data[at : at + width], "little", signed=True)
    other = int.from_bytes(data[(p := rng.choice(places)[0]) : p + 4], "little", signed=True)
    new = rng.choice((old + 1, old - 1, -old, old * 2, old ^ 1, other, rng.randint(-3, 12), rng.choice(INTERESTING)))
    data[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, "little")


def _word_place(data: bytearray, rng: random.Random) -> int:
    """An aligned word, most often one that holds a small number."""
    last = max(0, len(data) // 4 - 1)
    for _ in range(20):
        at = 4 * rng.randint(0, last)
        word = data[at : at + 4]
        if len(word) == 4 and (bytes(word[2:]) in (b"\0\0", b"\xff\xff") or rng.random() < 0.02):
            return at
    return 4 * rng.randint(0, last)


def _set_word(data: bytearray, at: int, value: int) -> None:
    data[at : at + 4] = struct.pack("<I", value & 0xFFFFFFFF)


def _word(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def flip_bits(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    for _ in range(rng.randint(1, 8)):
        at = min(_word_place(data, rng) + rng.randint(0, 3), len(data) - 1)
        if data:
            data[at] ^= 1 << rng.randint(0, 7)


def truncate(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    del data[rng.randint(0, len(data)) :]


def set_word(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    _set_word(data, _word_place(data, rng), rng.choice((*INTERESTING, len(data), rng.getrandbits(32))))


def set_half(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    """A vtable entry, often."""
    at = _word_place(data, rng) + rng.choice((0, 2))
    data[at : at + 2] = struct.pack("<H", rng.choice((0, 2, 4, 5, 6, 8, 12, 16, 64, 255, 32768, 65535)))


def swap_words(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    a, b = _word_place(data, rng), _word_place(data, rng)
    data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]


def grow(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    """A length, dimension or index grows or shrinks."""
    at = _word_place(data, rng)
    value = _word(data, at)
    _set_word(data, at, rng.choice((value + 1, value - 1, value * 2, value + 16, value * 1000, value << 16, value ^ 0x80000000)))


def loop(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    """An offset points to itself, backwards (modulo 2^32), or where another one points."""
    at, other = _word_place(data, rng), _word_place(data, rng)
    _set_word(data, at, rng.choice((0, -at, -rng.randint(1, max(at, 1)), other - at, other + _word(data, other) - at)))


def splice(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    """A stretch of another model lands here."""
    source = rng.choice(models)
    start, length = 4 * rng.randint(0, len(source) // 4), rng.choice((4, 8, 16, 64, 256))
    at = _word_place(data, rng)
    data[at : at + length] = source[start : start + length]


def insert(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    at = _word_place(data, rng)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))


def remove(data: bytearray, rng: random.Random, models: Sequence[bytes]) -> None:
    at = _word_place(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 8))]


Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]
MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_bits, truncate, set_word, set_word, set_half, swap_words, grow, grow, loop, splice, insert, remove,
)  # fmt: skip
