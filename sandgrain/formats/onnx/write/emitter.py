"""The ONNX model that is being written, and a node's view of it: layouts, scales, names.

A tensor of three and more axes lies in the model either as the graph has it (channels last) or with its channels at axis 1, as
ONNX's convolutions want them. It is kept as its producer made it; a reader that wants it otherwise gets a Transpose, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sandgrain.base.errors import UnsupportedError, printable
from sandgrain.graph.dtypes import INT32, DType
from sandgrain.graph.ir import Array, Graph, Node, Tensor, View
from sandgrain.graph.quantization import ACTIVATIONS, Quantization

OPSET = 17  # with LayerNormalization; what most tools for microcontrollers read
IR_VERSION = 8
ELEMENT = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
SMALL = ("int8", "int16", "int32")  # integers that stand for reals, where they have a scale


class Layout(Enum):
    """Where the channels of a tensor of three and more axes lie."""

    LAST = "last"
    FIRST = "first"


def to_first(rank: int) -> tuple[int, ...]:
    """The permutation from channels last to channels first."""
    return (0, rank - 1, *range(1, rank - 1))


def to_last(rank: int) -> tuple[int, ...]:
    """The permutation back."""
    return (0, *range(2, rank), 1)


def in_layout(values: Sequence[Any], layout: Layout) -> list[Any]:
    """One value an axis, in the order that the axes have in `layout`."""
    return [values[k] for k in to_first(len(values))] if layout is Layout.FIRST and len(values) > 2 else list(values)


def axis_in(axis: int, rank: int, layout: Layout) -> int:
    """Where the graph's axis lies in `layout`."""
    return in_layout(range(rank), layout).index(axis % rank)


class Writer:
    """The whole model: nodes, initializers, and under which name a tensor lies in which layout."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.known: dict[tuple[str, tuple[int, ...], bytes], str] = {}  # constants, by what they hold
        self.names: dict[tuple[int, Layout], str] = {}  # of float values (or indices)
        self.home: dict[int, Layout] = {}  # as the producer made it
        self.count = 0
        self.inputs = [self._input(i, k) for k, i in enumerate(graph.inputs)]

    def _input(self, index: int, position: int) -> onnx.ValueInfoProto:
        tensor = self.graph.tensors[index]
        layout, name = self._boundary(tensor), f"input_{position}" if len(self.graph.inputs) > 1 else "input"
        self.place(index, name, layout)
        return self._value_info(name, tensor, layout)

    def _boundary(self, tensor: Tensor) -> Layout:
        """The layout of the model's inputs and outputs."""
        return Layout.FIRST if self.graph.channels_first and len(tensor.shape) > 2 else Layout.LAST

    @staticmethod
    def _value_info(name: str, tensor: Tensor, layout: Layout) -> onnx.ValueInfoProto:
        shape = tensor.shape if layout is Layout.LAST else tuple(tensor.shape[k] for k in to_first(len(tensor.shape)))
        element = TensorProto.FLOAT if tensor.quant is not None else ELEMENT.get(tensor.dtype.name)
        if element is None:
            raise UnsupportedError(f"{printable(tensor.name)} is {tensor.dtype} without a scale; export the model as .tflite")
        return helper.make_tensor_value_info(name, element, shape)

    # --- values ----------------------------------------------------------------------------------------------------

    def fresh(self, hint: str) -> str:
        self.count += 1
        return f"{hint}_{self.count}"

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, **values: Any) -> list[str]:
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **values))
        return names

    def constant(self, data: Array) -> str:
        """The name of an initializer; equal ones are one."""
        data = np.asarray(data, order="C")
        key = (data.dtype.name, data.shape, data.tobytes())
        if key not in self.known:
            self.known[key] = self.own_constant(data)
        return self.known[key]

    def own_constant(self, data: Array) -> str:
        """The name of a new initializer, which is shared with no other reader."""
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(data, order="C"), name))
        return name

    def place(self, index: int, value: str, layout: Layout) -> None:
        """Tensor `index` is `value`, a float that is yet to be rounded to its levels if it has a scale."""
        tensor = self.graph.tensors[index]
        if len(tensor.shape) < 3:
            layout = Layout.LAST
        if tensor.quant is not None and tensor.dtype in SMALL:
            value = self.dequantized(self._quantized(value, tensor), tensor.quant, tensor.dtype)
        self.names[index, layout], self.home[index] = value, layout

    def _quantized(self, value: str, tensor: Tensor) -> str:
        assert tensor.quant is not None
        return self.node("QuantizeLinear", [value, *self._scale(tensor.quant, tensor.dtype)])[0]

    def dequantized(self, value: str, quant: Quantization, dtype: DType) -> str:
        """The floats that the integers `value` stand for, with one scale."""
        return self.node("DequantizeLinear", [value, *self._scale(quant, dtype)])[0]

    def dequantized_constant(self, data: Array, quant: Quantization, axis: int | None = None) -> str:
        """The floats that constant integers stand for; `axis`: along which there is more than one scale.

        Integers and zero point are initializers of their own: with `session.x64quantprecision`, ONNX Runtime rewrites int8 constants
        where they lie, and refuses a model in which two weights share a zero point.
        """
        more = {} if axis is None else {"axis": axis}
        inputs = [
            self.own_constant(data),
            self.constant(np.array(quant.scale[0] if quant.per_tensor else quant.scale, np.float32)),
        ]
        if data.dtype != np.int32:
            inputs.append(self.own_constant(np.array(quant.zero_point[0] if quant.per_tensor else quant.zero_point, data.dtype)))
        return self.node("DequantizeLinear", inputs, **more)[0]

    def _scale(self, quant: Quantization, dtype: DType) -> tuple[str, ...]:
        """The names of scale and zero point; int32 has none."""
        single = quant.per_tensor
        scale = np.array(quant.scale[0] if single else quant.scale, np.float32)
        if dtype == INT32:
            return (self.constant(scale),)
        zero = np.array(quant.zero_point[0] if single else quant.zero_point, dtype.numpy)
        return self.constant(scale), self.constant(zero)

    def value(self, index: int, layout: Layout) -> str:
        """The name under which tensor `index` lies in `layout`."""
        tensor = self.graph.tensors[index]
        rank = len(tensor.shape)
        layout = Layout.LAST if rank < 3 else layout
        if index not in self.home:
            self._place_constant(index, tensor)
        if (index, layout) not in self.names:
            perm = to_first(rank) if layout is Layout.FIRST else to_last(rank)
            source = self.names[index, self.home[index]]
            self.names[index, layout] = self.node("Transpose", [source], perm=perm)[0]
        return self.names[index, layout]

    def _place_constant(self, index: int, tensor: Tensor) -> None:
        data, quant = tensor.data, tensor.quant
        assert data is not None, tensor.name
        layouts = (Layout.LAST,) if data.ndim < 3 else (Layout.LAST, Layout.FIRST)
        for layout in layouts:
            turned = data if layout is Layout.LAST else data.transpose(to_first(data.ndim))
            self.names[index, layout] = self.constant(turned) if quant is None else self.dequantized_constant(turned, quant)
        self.home[index] = Layout.LAST

    def give_up(self, node: Node) -> None:
        """Go on behind a node that has no form, to find the others."""
        for index in node.outputs:
            self.names[index, Layout.LAST], self.home[index] = "nothing", Layout.LAST

    # --- the model -------------------------------------------------------------------------------------------------

    def finish(self) -> onnx.ModelProto:
        outputs = []
        for k, index in enumerate(self.graph.outputs):
            tensor = self.graph.tensors[index]
            layout, name = self._boundary(tensor), f"output_{k}" if len(self.graph.outputs) > 1 else "output"
            self.nodes.append(helper.make_node("Identity", [self.value(index, layout)], [name], name=name))
            outputs.append(self._value_info(name, tensor, layout))
        made = helper.make_graph(self._used(), printable(self.graph.name) or "model", self.inputs, outputs, self._read())
        return helper.make_model(
            made, producer_name="Sandgrain", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )

    def _used(self) -> list[onnx.NodeProto]:
        """The nodes that an output depends on: a constant may have been made in a layout that nobody reads."""
        wanted = {node.input[0] for node in self.nodes if node.output[0].startswith("output")}
        kept = []
        for node in reversed(self.nodes):
            if node.output[0].startswith("output") or wanted & set(node.output):
                kept.append(node)
                wanted.update(node.input)
        self.nodes = kept[::-1]
        return self.nodes

    def _read(self) -> list[onnx.TensorProto]:
        read = {name for node in self.nodes for name in node.input}
        return [t for t in self.initializers if t.name in read]


class Emitter:
    """One node: what its ONNX form reads and writes."""

    def __init__(self, writer: Writer, node: Node) -> None:
        self.writer = writer
        self.node = node
        self.view: View = writer.graph.view(node)

    @property
    def attrs(self) -> Any:
        return self.node.attrs

    def read(self, position: int, layout: Layout = Layout.LAST) -> str:
        """Input `position` as floats (or indices), rounded to its levels."""
        return self.writer.value(self.node.inputs[position], layout)

    def rest(self, position: int = 0) -> Layout:
        """The layout in which input `position` lies already."""
        return self.writer.home.get(self.node.inputs[position], Layout.LAST)

    def wide(self, position: int, layout: Layout) -> str:
        """Input `position` as `read` gives it, a constant with as many axes as the output: so it broadcasts in any layout."""
        tensor, rank = self.view.input(position), len(self.view.out.shape)
        if tensor.data is None or len(tensor.shape) == rank or layout is Layout.LAST:
            return self.read(position, layout)
        data = tensor.data.reshape(*(1,) * (rank - tensor.data.ndim), *tensor.shape).transpose(to_first(rank))
        return self.writer.constant(data) if tensor.quant is None else self.writer.dequantized_constant(data, tensor.quant)

    def make(self, kind: str, *inputs: str, **values: Any) -> str:
        """The output of a new ONNX node."""
        return self.writer.node(kind, inputs, **values)[0]

    def several(self, kind: str, *inputs: str, outputs: int, **values: Any) -> list[str]:
        return self.writer.node(kind, inputs, outputs, **values)

    def constant(self, data: Any, dtype: str = "float32") -> str:
        return self.writer.constant(np.asarray(data, dtype))

    def weights(self, position: int, perm: Sequence[int] | None = None, rows: Sequence[int] | None = None) -> str:
        """Constant input `position` as floats: integers stay integers in the file. Its `rows` taken in that order, its axes permuted
        by `perm`.
        """
        tensor, data = self.view.input(position), self.view.const(position)
        quant = tensor.quant
        axis = None if quant is None or quant.per_tensor else quant.axis
        if rows is not None:
            data = data[list(rows)]
            if quant is not None and axis == 0:
                quant = Quantization(tuple(quant.scale[r] for r in rows), (0,) * len(rows), 0)
        if perm is not None:
            data = data.transpose(perm)
            axis = None if axis is None else list(perm).index(axis)
        return self.writer.constant(data) if quant is None else self.writer.dequantized_constant(data, quant, axis)

    def reals(self, position: int) -> str:
        """Constant input `position` as a float constant, for integers that ONNX does not dequantize in this opset."""
        tensor, data = self.view.input(position), self.view.const(position)
        return self.constant(data if tensor.quant is None else data * np.float64(tensor.scale))

    def done(self, value: str, layout: Layout = Layout.LAST, position: int = 0) -> None:
        """Output `position` is `value`."""
        self.writer.place(self.node.outputs[position], value, layout)

    def active(self, value: str) -> str:
        """`value` after the node's fused activation."""
        low, high = ACTIVATIONS[self.attrs.get("activation", "none")]
        if low is None:
            return value
        if high is None:
            return self.make("Relu", value)
        return self.make("Clip", value, self.constant(low), self.constant(high))
