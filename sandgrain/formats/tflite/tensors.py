"""Tensors of a .tflite file: types, shapes, quantization and constant data, each checked before it is used."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.base.text import ascii_line
from sandgrain.formats.tflite.flatbuffer import Table
from sandgrain.graph.dtypes import DTYPES, DType
from sandgrain.graph.ir import Array, Tensor
from sandgrain.graph.quantization import Quantization

FLOAT32, FLOAT16, UINT8, INT8 = 0, 1, 3, 9  # .tflite TensorType
TYPE_NAMES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16",
)  # fmt: skip

MAX_RANK = 6
MAX_ELEMENTS = 1 << 26
SCALE_LIMIT = 2.0**60  # of int8 values that are computed; between its reciprocal and it no ratio of two overflows
MAX_NAME = 200  # characters of a tensor name that are kept


@dataclass(frozen=True, slots=True)
class RawTensor:
    """A tensor's table, with what is needed before it is decoded."""

    index: int
    table: Table
    type: int
    name: str
    data: Table | None  # the buffer's table, when it holds bytes

    @property
    def place(self) -> str:
        return f"tensor {self.index} {ascii_line(self.name)}"

    @property
    def constant(self) -> bool:
        return self.data is not None

    @property
    def variable(self) -> bool:
        """Whether an operator keeps it from one run to the next."""
        return bool(self.table.scalar(5, "bool"))


def raw_tensors(tables: list[Table], buffers: list[Table]) -> list[RawTensor]:
    """Every tensor of a subgraph, buffer indices checked."""
    found = []
    for index, table in enumerate(tables):
        name = ascii_line(table.string(3), MAX_NAME) or f"tensor_{index}"
        number = table.scalar(2, "u32")
        if number >= len(buffers):
            raise ModelError(
                f"tensor {index} {ascii_line(name)}: names buffer {number} of {len(buffers)}; export the model again"
            )
        buffer = buffers[number]
        if buffer.scalar(1, "u64") or buffer.scalar(2, "u64"):
            raise UnsupportedError(f"tensor {index} {ascii_line(name)}: data outside the flatbuffer; export a model below 2 GB")
        found.append(RawTensor(index, table, table.scalar(1, "i8"), name, buffer if buffer.length(0) else None))
    return found


def decode_tensor(raw: RawTensor) -> Tensor:
    """`raw` as the IR's tensor. Raises ModelError or UnsupportedError, without the tensor's name."""
    dtype = _dtype(raw.type)
    if raw.table.has(6):
        raise UnsupportedError("sparse storage; export the model with dense weights")
    if raw.table.has(9):
        raise UnsupportedError("a variant tensor; export the model without it")
    shape = _shape(raw.table.ints(0))
    quant = _quantization(raw.table.table(4), shape) if dtype in ("int8", "int16", "int32") else None
    if quant is not None and not quant.per_tensor and not raw.constant:
        raise UnsupportedError("one scale a channel on values computed at run time; quantize activations per tensor")
    absurd = [s for s in quant.scale if not 1 / SCALE_LIMIT < s < SCALE_LIMIT] if quant is not None and dtype != "int32" else []
    if absurd:
        raise UnsupportedError(f"a scale of {absurd[0]:.3g}; quantize the model again with a representative data set")
    return Tensor(raw.name, shape, dtype, quant, _data(raw, shape, dtype))


def _dtype(code: int) -> DType:
    name = TYPE_NAMES[code] if 0 <= code < len(TYPE_NAMES) else None
    if name is None:
        raise ModelError(f"tensor type {code} does not exist; export the model again")
    if name not in DTYPES:
        raise UnsupportedError(f"{name} values; quantize the model to int8 (full integer, int8 inputs and outputs)")
    return DTYPES[name]


def _shape(dims: list[int]) -> tuple[int, ...]:
    if len(dims) > MAX_RANK:
        raise UnsupportedError(f"{len(dims)} dimensions; reshape it to at most {MAX_RANK}")
    if any(d < 1 for d in dims):
        raise UnsupportedError(f"shape {dims} with an open or empty dimension; export the model with fixed shapes")
    if math.prod(dims) > MAX_ELEMENTS:
        raise UnsupportedError(f"shape {dims} holds over {MAX_ELEMENTS} elements; no microcontroller holds it, make it smaller")
    return tuple(dims)


def _quantization(table: Table | None, shape: tuple[int, ...]) -> Quantization | None:
    if table is None:
        return None
    if table.scalar(4, "u8"):
        raise UnsupportedError("custom quantization; use affine quantization (scale and zero point)")
    scale = tuple(float(s) for s in table.array(2, "f32"))
    zero_point = tuple(int(z) for z in table.array(3, "i64"))
    if not scale and not zero_point:
        return None
    if len(scale) != len(zero_point):
        raise ModelError(f"{len(scale)} scales but {len(zero_point)} zero points; export the model again")
    if len(scale) == 1:
        return Quantization(scale, zero_point)
    axis = table.scalar(6, "i32")
    if not 0 <= axis < len(shape) or shape[axis] != len(scale):
        raise ModelError(f"{len(scale)} scales along dimension {axis} of shape {list(shape)}; export the model again")
    return Quantization(scale, zero_point, axis)


def _data(raw: RawTensor, shape: tuple[int, ...], dtype: DType) -> Array | None:
    if raw.data is None:
        return None
    needed, got = dtype.nbytes(math.prod(shape)), raw.data.length(0)
    if got != needed:
        raise ModelError(f"{got} bytes of data, {dtype} {list(shape)} needs {needed}; export the model again")
    return dtype.unpack(raw.data.array(0, "u8").tobytes(), shape)
