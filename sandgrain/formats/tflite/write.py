"""Graph -> .tflite bytes, from the operator tables that the ops declare.

The slots are those of TensorFlow Lite's public schema (schema.fbs, version 3). The same graph always gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

from sandgrain.base.errors import UnsupportedError, printable, unsupported
from sandgrain.formats.tflite.padding import spelled_out
from sandgrain.formats.tflite.says import DESCRIPTION, JOINT
from sandgrain.graph.ir import Array, Graph, Tensor
from sandgrain.graph.ops import OPS, Foreign
from sandgrain.graph.ops.base import Encoded, Option

SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
TENSOR_TYPE = {"float32": 0, "int32": 2, "int64": 4, "int16": 7, "int8": 9}  # .tflite TensorType
ALIGNMENT = 16  # of constant data, as the schema asks
MAX_OLD_CODE = 127  # operator codes above it live in `builtin_code` alone


def write(graph: Graph, description: str = DESCRIPTION, stateless: str = "") -> bytes:
    """The .tflite file of `graph`: of int8, of floats, or 16x8. `description`: text that the file holds for readers. `stateless`: text
    behind it where the format has a layer keep a state from call to call.

    Raises UnsupportedError, which names every layer that the format cannot express (its op, a padding, an option).
    """
    return _Writer(spelled_out(graph)).finish(description, stateless)


def _encodings(graph: Graph) -> list[tuple[Foreign, Encoded]]:
    """Each node in the format's words, or one error for all nodes that it has none for."""
    found, faults = list[tuple[Foreign, Encoded]](), list[str]()
    for node in graph.nodes:
        op = OPS[node.op]
        try:
            encoded = op.encode(graph.view(node))
            named = [f for f in op.foreign if f.name == encoded.name]
            if not named:
                raise UnsupportedError("has no .tflite operator; export the graph before it was optimized")
            found.append((named[0], encoded))
        except UnsupportedError as error:
            faults.append(f"{printable(node.name)} ({node.op}): {error}")
    if faults:
        raise unsupported(faults)
    return found


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.encodings = _encodings(graph)
        self.builder = flatbuffers.Builder(1 << 16)
        self.tensors = list(graph.tensors)
        self.codes: dict[tuple[int, int], int] = {}  # (builtin code, version) -> index
        self.buffers: list[int] = [self._table(3, lambda b: None)]  # buffer 0 is the empty one
        self.variables: set[int] = set()  # tensors that an operator keeps between runs
        self.extra: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def finish(self, text: str, stateless: str) -> bytes:
        b = self.builder
        operators = self._offsets([self._operator(n) for n in range(len(self.graph.nodes))])
        tensors = self._offsets([self._tensor(t, k in self.variables) for k, t in enumerate(self.tensors)])
        inputs, outputs = self._ints(self.graph.inputs), self._ints(self.graph.outputs)
        name = b.CreateString(self.graph.name)
        subgraph = self._table(
            5,
            lambda b: [
                b.PrependUOffsetTRelativeSlot(slot, offset, 0)
                for slot, offset in enumerate((tensors, inputs, outputs, operators, name))
            ],
        )
        codes = self._offsets([self._operator_code(code, version) for code, version in self.codes])
        subgraphs, buffers = self._offsets([subgraph]), self._offsets(self.buffers)
        description = b.CreateString(JOINT.join([text, *([stateless] if self.variables and stateless else [])]))
        root = self._table(
            5,
            lambda b: [
                b.PrependUint32Slot(0, SCHEMA_VERSION, 0),
                *(
                    b.PrependUOffsetTRelativeSlot(slot, offset, 0)
                    for slot, offset in enumerate((codes, subgraphs, description, buffers), 1)
                ),
            ],
        )
        b.Finish(root, file_identifier=IDENTIFIER)
        return bytes(b.Output())

    # --- parts of the schema ---------------------------------------------------------------------------------------

    def _operator_code(self, code: int, version: int) -> int:
        return self._table(
            4,
            lambda b: [
                b.PrependInt8Slot(0, min(code, MAX_OLD_CODE), 0),
                b.PrependInt32Slot(2, version, 1),
                b.PrependInt32Slot(3, code, 0),
            ],
        )

    def _operator(self, index: int) -> int:
        node = self.graph.nodes[index]
        foreign, encoded = self.encodings[index]
        code = self.codes.setdefault((foreign.code, foreign.version), len(self.codes))
        options = self._options(foreign, encoded.options)
        inputs = self._ints([self._input(node.inputs, item) for item in encoded.inputs])
        outputs = self._ints(node.outputs)
        return self._table(
            9,
            lambda b: [
                b.PrependUint32Slot(0, code, 0),
                b.PrependUOffsetTRelativeSlot(1, inputs, 0),
                b.PrependUOffsetTRelativeSlot(2, outputs, 0),
                b.PrependUint8Slot(3, foreign.options_tag, 0),
                b.PrependUOffsetTRelativeSlot(4, options, 0),
            ],
        )

    def _input(self, inputs: Sequence[int], item: int | Array | Tensor | None) -> int:
        if item is None:
            return -1
        if isinstance(item, Tensor):
            self.variables.add(len(self.tensors))
            self.tensors.append(item)
            return len(self.tensors) - 1
        if isinstance(item, int):
            return inputs[item]
        return self._constant(item)

    def _constant(self, values: Array) -> int:
        """A new constant tensor (one for equal values): axes, shapes, paddings."""
        data = np.asarray(values)
        if data.dtype.name not in ("int8", "float32"):
            data = data.astype(np.int32)
        key = (data.dtype.name, data.shape, data.tobytes())
        if key not in self.extra:
            self.extra[key] = len(self.tensors)
            self.tensors.append(Tensor(f"const_{len(self.tensors)}", data.shape, data.dtype.name, None, data))
        return self.extra[key]

    def _options(self, foreign: Foreign, values: Mapping[str, Any]) -> int:
        if not foreign.options_tag:
            return 0
        slots = {option.name: option for option in foreign.options}
        unknown = sorted(set(values) - set(slots))
        assert not unknown, f"{foreign.name} declares no options {unknown}"
        vectors = {k: self._ints(v) for k, v in values.items() if slots[k].kind == "i32s"}
        fields = [(slots[k], vectors.get(k, v)) for k, v in values.items()]
        count = max((o.slot + 1 for o in foreign.options), default=0)

        def fill(b: Any) -> None:
            for option, value in fields:
                _put_option(b, option, value)

        return self._table(count, fill)

    def _tensor(self, tensor: Tensor, variable: bool) -> int:
        buffer = 0 if tensor.data is None else self._buffer(tensor)
        shape, name = self._ints(tensor.shape), self.builder.CreateString(tensor.name)
        quantization = self._quantization(tensor)
        return self._table(
            6 if variable else 5,
            lambda b: [
                b.PrependUOffsetTRelativeSlot(0, shape, 0),
                b.PrependInt8Slot(1, TENSOR_TYPE[tensor.dtype.name], 0),
                b.PrependUint32Slot(2, buffer, 0),
                b.PrependUOffsetTRelativeSlot(3, name, 0),
                b.PrependUOffsetTRelativeSlot(4, quantization, 0),
                *([b.PrependBoolSlot(5, True, False)] if variable else []),
            ],
        )

    def _buffer(self, tensor: Tensor) -> int:
        assert tensor.data is not None
        data = tensor.dtype.pack(tensor.data)
        self.builder.Prep(ALIGNMENT, len(data))
        vector = self.builder.CreateByteVector(data)
        self.buffers.append(self._table(3, lambda b: b.PrependUOffsetTRelativeSlot(0, vector, 0)))
        return len(self.buffers) - 1

    def _quantization(self, tensor: Tensor) -> int:
        quant = tensor.quant
        if quant is None:
            return 0
        scale = self.builder.CreateNumpyVector(np.array(quant.scale, np.float32))
        zero_point = self.builder.CreateNumpyVector(np.array(quant.zero_point, np.int64))
        return self._table(
            7,
            lambda b: [
                b.PrependUOffsetTRelativeSlot(2, scale, 0),
                b.PrependUOffsetTRelativeSlot(3, zero_point, 0),
                b.PrependInt32Slot(6, quant.axis or 0, 0),
            ],
        )

    # --- flatbuffer pieces -----------------------------------------------------------------------------------------

    def _table(self, slots: int, fill: Callable[[Any], object]) -> int:
        self.builder.StartObject(slots)
        fill(self.builder)
        return int(self.builder.EndObject())

    def _ints(self, values: Sequence[int]) -> int:
        return int(self.builder.CreateNumpyVector(np.array(values, np.int32)))

    def _offsets(self, offsets: Sequence[int]) -> int:
        b = self.builder
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return int(b.EndVector())


def _put_option(b: Any, option: Option, value: Any) -> None:
    put = {
        "i8": b.PrependInt8Slot,
        "u8": b.PrependUint8Slot,
        "bool": b.PrependBoolSlot,
        "i32": b.PrependInt32Slot,
        "f32": b.PrependFloat32Slot,
        "i32s": b.PrependUOffsetTRelativeSlot,
    }[option.kind]
    put(option.slot, value, 0 if option.kind == "i32s" else option.default)
