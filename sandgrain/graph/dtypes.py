"""Data types as values: how many bits an element has, what it can hold, and how elements lie in memory and are called in C.

Everything else asks the type: a tensor for its bytes, a clamp for its bounds, generated code for its C type. To add a type, add it
to `DTYPES` (and kernels that compute with it). In numpy an element always has an item of its own, in a type that can hold it;
`stored` gives the units that lie in memory, where several elements may share one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, UnsupportedError


@dataclass(frozen=True, slots=True)
class Packing:
    """How elements share bytes. `pack`: a flat array to its bytes, padded with zero bits. `unpack`: bytes and a count back."""

    pack: Callable[[Array], bytes]
    unpack: Callable[[bytes, int], Array]


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """One data type. It prints as its name, and equals its name: files and messages write types as text."""

    name: str  # as files and messages spell it
    bits: int  # of one element in memory
    low: int  # the lowest value; 0 for floats, which have no bounds
    high: int  # the highest value; 0 for floats
    c_type: str  # of one unit in memory: an element, or a byte that several elements share
    numpy: np.dtype[Any]  # of one element in an array
    packing: Packing | None = None  # None: each element is a little-endian word of `bits` bits

    def __eq__(self, other: object) -> bool:
        return self.name == (other.name if isinstance(other, DType) else other)

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return repr(self.name)

    @property
    def dtype(self) -> np.dtype[Any]:
        """`numpy`, under the name by which numpy asks: np.zeros(shape, tensor.dtype) makes an array of it."""
        return self.numpy

    @property
    def is_float(self) -> bool:
        return self.numpy.kind == "f"

    @property
    def span(self) -> int:
        """The distance from the lowest to the highest value: 255 for 8 bits."""
        return self.high - self.low

    @property
    def suffix(self) -> str:
        """How names of C functions end that compute with this type: s8, u8, f32."""
        return f"{'f' if self.is_float else 's' if self.low < 0 else 'u'}{self.bits}"

    @property
    def levels(self) -> int:
        """How many values there are: 256 for 8 bits."""
        return self.span + 1

    @property
    def reach(self) -> int:
        """The greatest magnitude that both signs have: 127 for int8. Symmetric constants lie between -reach and reach."""
        return min(-self.low, self.high)

    @property
    def unit_bytes(self) -> int:
        """Bytes of one unit in memory, which is what a C pointer to this type steps by."""
        return max(self.bits // 8, 1)

    @property
    def item_bytes(self) -> int:
        """Bytes of one element, for kernels that move elements one by one. Raises UnsupportedError where elements share bytes."""
        if self.bits % 8:
            raise UnsupportedError(
                f"{self} elements share bytes, and this layer moves elements; put it before the rounding to {self}"
            )
        return self.bits // 8

    def nbytes(self, count: int) -> int:
        """Bytes that `count` elements take; the last one may be partly used."""
        return -(-count * self.bits // 8)

    def units(self, count: int) -> int:
        """Units of `c_type` that `count` elements take."""
        return self.nbytes(count) // self.unit_bytes

    def saturated(self, values: npt.ArrayLike) -> Array:
        """Integers of any size as this integer type; what is out of range becomes the nearest end."""
        return np.clip(values, self.low, self.high).astype(self.numpy)

    def values(self) -> Array:
        """Every value of this integer type in rising order, as int64 [span + 1]."""
        return np.arange(self.low, self.high + 1, dtype=np.int64)

    def pack(self, values: Array) -> bytes:
        """The bytes of `values` in memory, in C order."""
        flat = np.ascontiguousarray(values, self.numpy).reshape(-1)
        if self.packing is not None:
            return self.packing.pack(flat)
        return flat.astype(self.numpy.newbyteorder("<"), copy=False).tobytes()

    def unpack(self, data: bytes, shape: Sequence[int]) -> Array:
        """An array of `shape` from its bytes in memory. Raises ValueError unless there are exactly as many as it takes."""
        count = math.prod(shape)
        if len(data) != self.nbytes(count):
            raise ValueError(f"{len(data)} bytes of data, {self} {list(shape)} needs {self.nbytes(count)}")
        if self.packing is not None:
            return self.packing.unpack(data, count).astype(self.numpy, copy=False).reshape(shape)
        return np.frombuffer(data, self.numpy.newbyteorder("<")).astype(self.numpy).reshape(shape)

    def stored(self, values: Array) -> Array:
        """`values` as the units that a C table holds: themselves, or the bytes that they share."""
        return values if self.packing is None else np.frombuffer(self.pack(values), np.uint8)


def _integer(name: str) -> DType:
    kind = np.dtype(name)
    limits = np.iinfo(kind)
    return DType(name, 8 * kind.itemsize, int(limits.min), int(limits.max), f"{name}_t", kind)


INT8 = _integer("int8")
UINT8 = _integer("uint8")
INT16 = _integer("int16")
INT32 = _integer("int32")
INT64 = _integer("int64")
FLOAT32 = DType("float32", 32, 0, 0, "float", np.dtype(np.float32))

# What a quantized network is made of. A tensor says its own type; these are for where there is no tensor yet.
ACTIVATION = INT8  # of values between layers
WEIGHT = INT8  # of symmetric weights, which lie between -reach and reach
SCRATCH = INT8  # how the C of kernels takes memory that has no type
ACTIVATIONS = (ACTIVATION,)  # what layers take and give
WEIGHTS = (WEIGHT,)

DTYPES = {d.name: d for d in (INT8, UINT8, INT16, INT32, INT64, FLOAT32)}


def dtype_of(name: DType | str) -> DType:
    """The type that is called `name`. Raises ModelError if there is none."""
    if isinstance(name, DType):
        return name
    if name not in DTYPES:
        raise ModelError(f"unknown dtype {name}; use {', '.join(DTYPES)}")
    return DTYPES[name]
