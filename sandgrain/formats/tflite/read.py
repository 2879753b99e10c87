""".tflite bytes -> Graph. The file is hostile: everything in it is checked before it is used.

Slots are those of TensorFlow Lite's public schema (schema.fbs, version 3). What an operator means is decided by its op
(`Op.decode`, `Op.check`); this module checks the rest and says which layer is to blame.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError, UsageError, unsupported
from sandgrain.base.text import ascii_line
from sandgrain.formats.tflite.flatbuffer import Table, root
from sandgrain.formats.tflite.names import CUSTOM, operator_name
from sandgrain.formats.tflite.says import CHANNELS_FIRST, JOINT, RESTARTS
from sandgrain.formats.tflite.tensors import FLOAT16, FLOAT32, INT8, MAX_ELEMENTS, UINT8, RawTensor, decode_tensor, raw_tensors
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor, with_nodes
from sandgrain.graph.ops import FOREIGN, Foreign

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
MAX_FILE = 16 << 20  # bytes: the largest flash of a microcontroller board, and what 512 MiB of memory can check
MAX_CHECKED = 64 << 20  # bytes of constants that all layers together may name, a shared one counted each time
MAX_NAMED = 5  # layers that one message names

STATEFUL = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"})  # operators of variables
STATELESS = "make the state an input and an output of the model, and hand it back with each call"
FLOW = frozenset({"IF", "WHILE", "CALL"})
QUANTIZE, DEQUANTIZE = 114, 6  # BuiltinOperator: where float may meet int8
FULL_INTEGER = "quantize it to int8 (full integer, with a representative data set)"


def read_file(path: str | Path) -> bytes:
    """The bytes of a .tflite file, at most MAX_FILE. Raises UsageError for a path that is no readable file."""
    path = Path(path)
    shown = ascii_line(str(path), 200)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{shown}: is not a file; name a .tflite file")
        if status.st_size > MAX_FILE:
            raise UnsupportedError(f"{shown}: {status.st_size} bytes, the limit is {MAX_FILE}; use a smaller model")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise UsageError(f"{shown}: {reason}; name a .tflite file that can be read") from error
    if not data:
        raise ModelError(f"{shown}: the file is empty; export the model again")
    return data


def load(path: str | Path) -> Graph:
    """The graph of a .tflite file. Raises what `read_file` and `read` raise, the path in front."""
    data = read_file(path)
    with rules.located(ascii_line(str(path), 200)):
        return read(data, Path(path).stem)


def read(data: bytes, name: str) -> Graph:
    """The graph of .tflite `data`, legal by `spec.check`. Raises ModelError or UnsupportedError: one line, naming the layer."""
    graph = _subgraph(data).graph(name)
    said = root(data, IDENTIFIER).string(3).split(JOINT)
    return replace(graph, channels_first=CHANNELS_FIRST in said, restarts=() if RESTARTS in said else graph.restarts)


def read_float(data: bytes, name: str) -> Graph:
    """The graph of a float32 .tflite, to be quantized: legal by `spec.check` at stage "float".

    Weights that are held in int8 while the layers compute in float (dynamic range) become the floats that they stand for.
    Raises ModelError or UnsupportedError: one line, naming the layer.
    """
    return _subgraph(data).float_graph(name)


def computes_in_float(data: bytes) -> bool:
    """Whether the layers of a .tflite compute in float, all of them: `read_float` is for it, `read` for the others."""
    return _subgraph(data).all_float()


def _subgraph(data: bytes) -> _Subgraph:
    if len(data) > MAX_FILE:
        raise UnsupportedError(f"the model has {len(data)} bytes, the limit is {MAX_FILE}; use a smaller model")
    model = root(data, IDENTIFIER)
    version = model.scalar(0, "u32")
    if version != SCHEMA_VERSION:
        raise UnsupportedError(f"schema version {version}, not {SCHEMA_VERSION}; export the model with a current converter")
    subgraphs = model.tables(2)
    if not subgraphs:
        raise ModelError("the file has no subgraph; export the model again")
    if len(subgraphs) > 1:
        codes = [_operator_code(table) for table in model.tables(1)]
        used = {code.name for code in codes}
        raise UnsupportedError(f"the file has {len(subgraphs)} subgraphs; {_way_to_one(used, len(model.tables(7)))}")
    return _Subgraph(model, subgraphs[0])


def _way_to_one(operators: set[str], signatures: int) -> str:
    """What a file with several subgraphs has them for, and how to have one: the operators that it uses say it."""
    if kept := sorted(operators & STATEFUL):
        return f"{', '.join(kept)} keep state between runs; {STATELESS}"
    if flow := sorted(operators & FLOW):
        return f"{', '.join(flow)} run the others; export the model with its loops unrolled and without branches"
    if signatures > 1:
        return f"it has {signatures} signatures; convert one of them (from_concrete_functions with one function)"
    return "keep the one to be compiled (tf.lite.TFLiteConverter.from_concrete_functions with one function)"


@dataclass(frozen=True, slots=True)
class _Code:
    """What an operator code names."""

    code: int
    name: str


@dataclass(frozen=True, slots=True)
class _Layer:
    """An operator of the file: indices are in range, -1 for an absent input."""

    index: int
    name: str
    code: _Code
    table: Table
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def place(self) -> str:
        return f"layer {self.index} {self.name} ({self.code.name})"


class _Subgraph:
    """The one subgraph, decoded step by step."""

    def __init__(self, model: Table, subgraph: Table) -> None:
        self.raw = raw_tensors(subgraph.tables(0), model.tables(4))
        self.inputs = self._ends(subgraph.ints(1), "input")
        self.outputs = self._ends(subgraph.ints(2), "output")
        codes = [_operator_code(table) for table in model.tables(1)]
        self.layers = self._layers(subgraph.tables(3), codes)

    def _ends(self, indices: list[int], what: str) -> tuple[int, ...]:
        if not indices:
            raise ModelError(f"the model has no {what}; export the model again")
        if len(set(indices)) != len(indices):
            raise UnsupportedError(f"the model lists a tensor twice as {what}; copy it with its own layer, or list it once")
        for i in indices:
            self._tensor_index(i, f"model {what}")
        return tuple(indices)

    def _tensor_index(self, index: int, place: str) -> int:
        if not 0 <= index < len(self.raw):
            raise ModelError(f"{place}: names tensor {index} of {len(self.raw)}; export the model again")
        return index

    def _layers(self, tables: list[Table], codes: list[_Code]) -> list[_Layer]:
        if not tables:
            raise ModelError("the model has no layers; export the model again")
        rules.check_count(len(tables))
        layers: list[_Layer] = []
        names: dict[str, int] = {}
        for index, table in enumerate(tables):
            code = table.scalar(0, "u32")
            if code >= len(codes):
                raise ModelError(f"layer {index}: names operator code {code} of {len(codes)}; export the model again")
            place = f"layer {index} ({codes[code].name})"
            outputs = tuple(self._tensor_index(i, place) for i in table.ints(2))
            inputs = tuple(i if i == -1 else self._tensor_index(i, place) for i in table.ints(1))
            if not outputs:
                raise ModelError(f"{place}: has no output; export the model again")
            layers.append(_Layer(index, self._name(outputs[0], names), codes[code], table, inputs, outputs))
        return layers

    def _name(self, output: int, taken: dict[str, int]) -> str:
        """A short name for the layer that writes `output`, unlike all before: converters join fused names by ";"."""
        name = ascii_line(self.raw[output].name.split(";")[0].strip() or f"tensor_{output}")
        unique = name
        while unique in taken:
            taken[name] += 1
            unique = f"{name}#{taken[name]}"
        taken[unique] = 1
        return unique

    # --- the graph ---------------------------------------------------------------------------------------------------

    def graph(self, name: str) -> Graph:
        """The checked graph. A model that fails because it is not int8 at all is told so, rather than its first layer."""
        try:
            return self._graph(name)
        except ModelError as error:
            other = self._other_number_format()
            if other is None:
                raise
            raise UnsupportedError(other) from error

    def float_graph(self, name: str) -> Graph:
        """The checked graph of a model that computes in float32."""
        if not any(self._computes_in_float(layer) for layer in self.layers):
            raise UnsupportedError("this is not a float model; it is quantized already")
        return self._graph(name, "float")

    def _graph(self, name: str, stage: str = "imported") -> Graph:
        self._refuse_unknown_operators()
        self._refuse_repeated_constants()
        tensors = self._tensors()
        if stage == "float":
            tensors = [None if t is None else _as_float(t) for t in tensors]
        nodes = self._nodes(tensors)
        place_holders = tuple(t if t is not None else Tensor("unused", (), "int8") for t in tensors)
        restarts = tuple(layer.name for layer in self.layers if any(t.variable for t in self._tensors_of(layer.inputs)))
        graph = with_nodes(Graph(ascii_line(name), place_holders, (), self.inputs, self.outputs, restarts=restarts), nodes)
        rules.check(graph, stage)
        return graph

    def all_float(self) -> bool:
        """Whether layers compute in float, and none in int8."""
        computed = self._tensors_of([i for layer in self.layers for i in (*layer.inputs, *layer.outputs)])
        floats = any(self._computes_in_float(layer) for layer in self.layers)
        return floats and not any(t.type == INT8 and not t.constant for t in computed)

    def _other_number_format(self) -> str | None:
        """What to do about a model that does not compute in int8; None when it does, at least in part."""
        computed = [self.raw[i] for layer in self.layers for i in (*layer.inputs, *layer.outputs) if i >= 0]
        computed = [t for t in computed if not t.constant]
        if any(t.type == UINT8 for t in (*computed, *(self.raw[i] for i in (*self.inputs, *self.outputs)))):
            return self._about_uint8(computed)
        floats = [layer for layer in self.layers if self._computes_in_float(layer)]
        if not floats or any(t.type == INT8 for t in computed):
            return None
        weights = {t.type for layer in floats for t in self._tensors_of(layer.inputs) if t.constant}
        if INT8 in weights or UINT8 in weights:
            return f"only the weights are int8, the layers compute in float (dynamic range); {FULL_INTEGER}"
        kind = "float16" if FLOAT16 in weights else "float"
        return f"this is a {kind} model; {FULL_INTEGER}"

    def _about_uint8(self, computed: Sequence[RawTensor]) -> str:
        """What a model with uint8 in it computes in, and what to do: ends alone are an option of the converter, layers are not."""
        inner = {t.type for t in computed} - {UINT8}
        if INT8 in inner:
            end = next((i for i in (*self.inputs, *self.outputs) if self.raw[i].type == UINT8), None)
            which = "some layers have" if end is None else f"{self.raw[end].place} has"
            return (
                f"{which} uint8 values, while other layers compute in int8; convert the model again with int8 ends"
                " (inference_input_type and inference_output_type = tf.int8)"
            )
        if FLOAT32 in inner:
            return f"the model has uint8 values, and layers that compute in float; {FULL_INTEGER}"
        return f"the model computes in uint8, as converters before TensorFlow 2 quantized; take its model of floats and {FULL_INTEGER}"

    def _tensors_of(self, indices: Sequence[int]) -> list[RawTensor]:
        return [self.raw[i] for i in indices if i >= 0]

    def _computes_in_float(self, layer: _Layer) -> bool:
        if layer.code.code in (QUANTIZE, DEQUANTIZE):
            return False
        return any(t.type == FLOAT32 and not t.constant for t in self._tensors_of((*layer.inputs, *layer.outputs)))

    def _refuse_unknown_operators(self) -> None:
        unknown = [layer for layer in self.layers if layer.code.code not in FOREIGN]
        if unknown:
            kept = [layer for layer in unknown if layer.code.name in STATEFUL]
            if kept:
                raise UnsupportedError(f"{kept[0].place}: keeps state between runs in a variable; {STATELESS}")
            way = "build the model from the ops that `sandgrain ops` lists"
            if len(unknown) == 1:
                raise UnsupportedError(f"{unknown[0].place}: is not supported; {way}")
            named = ", ".join(layer.place for layer in unknown[:MAX_NAMED])
            more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
            faults = [f"{layer.place}: is not supported; {way}" for layer in unknown]
            raise UnsupportedError(f"{named}{more}: are not supported; {way}", faults)

    def _refuse_repeated_constants(self) -> None:
        """Checking a layer takes time in proportion to its constants: bound the sum."""
        named = [t.data.length(0) for layer in self.layers for t in self._tensors_of(layer.inputs) if t.data is not None]
        if sum(named) > MAX_CHECKED:
            raise UnsupportedError(f"the layers name {sum(named)} bytes of weights, over {MAX_CHECKED}; share fewer weights")

    def _tensors(self) -> list[Tensor | None]:
        """Every tensor that something names; None for the others."""
        used = {i for layer in self.layers for i in (*layer.inputs, *layer.outputs) if i >= 0}
        tensors: list[Tensor | None] = [None] * len(self.raw)
        total = 0
        self._refuse_variables({*self.inputs, *self.outputs, *(i for layer in self.layers for i in layer.outputs)})
        for index in sorted(used | {*self.inputs, *self.outputs}):
            with rules.located(self.raw[index].place):
                tensor = decode_tensor(self.raw[index])
                total += math.prod(tensor.shape)
                if total > MAX_ELEMENTS:
                    raise UnsupportedError(f"all tensors together hold over {MAX_ELEMENTS} elements; use a smaller model")
                for fact in rules.tensor_faults(tensor):
                    raise ModelError(f"{fact}; export the model again")
            tensors[index] = tensor
        return tensors

    def _refuse_variables(self, indices: Iterable[int]) -> None:
        """An op that starts anew in each run does without its state; nothing else may read or write one."""
        for raw in (self.raw[i] for i in sorted(set(indices)) if i >= 0):
            if raw.variable:
                raise UnsupportedError(f"{raw.place}: a variable (state kept between runs); {STATELESS}")

    def _nodes(self, tensors: Sequence[Tensor | None]) -> list[Node]:
        """Every layer decoded; what cannot be compiled is said of all of them at once."""
        nodes, faults = list[Node](), list[UnsupportedError]()
        for layer in self.layers:
            try:
                nodes.append(self._node(layer, tensors))
            except UnsupportedError as error:
                faults.append(error)
        if len(faults) == 1:
            raise faults[0]
        if faults:
            raise unsupported([str(error) for error in faults])
        return nodes

    def _node(self, layer: _Layer, tensors: Sequence[Tensor | None]) -> Node:
        op, foreign = FOREIGN[layer.code.code]
        with rules.located(layer.place):
            options = _options(layer.table, foreign)
            inputs = [None if i < 0 else tensors[i] for i in layer.inputs]
            outputs = [t for i in layer.outputs if (t := tensors[i]) is not None]
            decoded = op.decode(foreign.name, options, inputs, outputs)
            kept = tuple(layer.inputs[i] for i in decoded.inputs)
        self._refuse_variables(kept)
        return Node(op.name, layer.name, kept, layer.outputs, decoded.attrs)


def _as_float(tensor: Tensor) -> Tensor:
    """A constant held in int8 as the float32 values that it stands for; other tensors without their quantization."""
    quant, data = tensor.quant, tensor.data
    if tensor.dtype != "int8" or data is None or quant is None:
        return replace(tensor, quant=None) if tensor.dtype == "float32" else tensor
    wide = [1] * data.ndim
    if quant.axis is not None:
        wide[quant.axis] = len(quant.scale)
    scale, zero_point = (np.asarray(v, np.float32).reshape(wide) for v in (quant.scale, quant.zero_point))
    return Tensor(tensor.name, tensor.shape, "float32", None, ((data - zero_point) * scale).astype(np.float32))


def _operator_code(table: Table) -> _Code:
    # Codes up to 127 used to live in one byte; newer files fill both fields.
    code = max(table.scalar(0, "i8"), table.scalar(3, "i32"))
    name = operator_name(code)
    custom = ascii_line(table.string(1), 40) if code == CUSTOM else ""
    return _Code(code, f"{name} {custom}".strip())


def _options(table: Table, foreign: Foreign) -> dict[str, Any]:
    """Every option that `foreign` declares, its default where the file leaves it out."""
    tag, options = table.scalar(3, "u8"), table.table(4)
    if table.scalar(11, "u8"):
        raise UnsupportedError("options of a newer schema; export the model with an older converter")
    if foreign.options_tag and tag not in (0, foreign.options_tag):
        raise ModelError(f"carries the options of another operator (union tag {tag}); export the model again")
    if not foreign.options_tag or not tag or options is None:
        return {option.name: [] if option.kind == "i32s" else option.default for option in foreign.options}
    values: dict[str, Any] = {}
    for option in foreign.options:
        if option.kind == "i32s":
            values[option.name] = options.ints(option.slot)
            continue
        value = options.scalar(option.slot, option.kind, option.default)
        if option.kind == "f32" and not math.isfinite(value):
            raise ModelError(f"{option.name} is not a finite number; export the model again")
        values[option.name] = value
    return values
