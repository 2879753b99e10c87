"""A float graph that grows node by node, and the values that operators hand to each other.

Values carry a `Layout`, so that permutes and reshapes are only remembered; `arrange` moves elements where an operator needs
them in an order that they are not in. Activations and per-channel factors go into the layer before them where they can.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sandgrain.base.errors import UnsupportedError, printable
from sandgrain.formats.aten.layout import Layout, dense
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs, with_nodes
from sandgrain.graph.ops import OPS

MAX_RANK = 5  # axes that a transpose takes
MAX_NODES = 1 << 14
MAX_CONSTANTS = 1 << 24  # numbers: a weight counts each time that a layer reads it


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What an operator computed: the graph's tensor that holds it, and how its elements lie there."""

    tensor: int
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape


class Builder:
    """`place` names the layer that is being converted; `shared` holds the tensors that more than one operator reads."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self.shared: set[int] = set()
        self.place = ""
        self.transposes = 0
        self.scaled: list[tuple[int, Array]] = []  # (weights, factor a channel) of what was put into weights that stood already
        self._constants = 0
        self._made: dict[int, int] = {}  # tensor -> node
        self._reads: Counter[int] = Counter()
        self._views: dict[tuple[int, tuple[int, ...]], int] = {}
        self._names: Counter[str] = Counter()

    def copy(self) -> Builder:
        """One that grows by itself from here on."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            setattr(other, name, copy.copy(value))
        return other

    # --- tensors and nodes -----------------------------------------------------------------------------------------

    def _tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _name(self, wish: str) -> str:
        name = printable(wish or "layer")
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}#{self._names[name]}"

    def input(self, name: str, shape: Sequence[int], layout: Layout, dtype: str = "float32") -> Value:
        """A new graph input of graph shape `shape`; int32 for positions that an embedding takes."""
        self.inputs.append(self._tensor(Tensor(self._name(name), tuple(shape), dtype)))
        return Value(self.inputs[-1], layout)

    def constant(self, data: Array, what: str) -> int:
        """A float32 constant."""
        self._constants += np.size(data)
        if self._constants > MAX_CONSTANTS:
            raise UnsupportedError(f"the layers read over {MAX_CONSTANTS} weights; use a smaller model")
        data = np.ascontiguousarray(data, np.float32)
        return self._tensor(Tensor(self._name(f"{self.place}.{what}"), data.shape, "float32", None, data))

    def missing(self, shape: Sequence[int]) -> Value:
        """A value of ATen's `shape` for what could not be converted: the rest can be looked at, the graph cannot be had."""
        return Value(self._tensor(Tensor(self._name(self.place), tuple(shape), "float32")), dense(shape))

    def positions(self, data: Array) -> int:
        """An int32 constant."""
        data = np.ascontiguousarray(data, np.int32).reshape(np.shape(data))
        return self._tensor(Tensor(self._name(f"{self.place}.positions"), data.shape, "int32", None, data))

    def node(self, op: str, inputs: Sequence[int], *, suffix: str = "", **values: Any) -> int:
        """Append a node with one output, named after the place; its shape is the op's. Returns the output's tensor."""
        if len(self.nodes) == MAX_NODES:
            raise UnsupportedError(f"over {MAX_NODES} layers; use a smaller model")
        options = attrs(**values)
        (shape,) = OPS[op].shapes([self.tensors[i] for i in inputs], options)
        name = self._name(self.place + suffix)
        out = self._tensor(Tensor(name, shape, "float32"))
        self._made[out] = len(self.nodes)
        self._reads.update(inputs)
        self.nodes.append(Node(op, name, tuple(inputs), (out,), options))
        return out

    def shape(self, tensor: int) -> tuple[int, ...]:
        return self.tensors[tensor].shape

    def maker(self, tensor: int) -> Node | None:
        """The node that writes `tensor`."""
        return self.nodes[self._made[tensor]] if tensor in self._made else None

    def alone(self, tensor: int, readers: int = 0) -> bool:
        """Whether nothing but `readers` nodes reads `tensor`, and nothing else will."""
        return tensor not in self.shared and self._reads[tensor] <= readers

    def view(self, tensor: int, shape: Sequence[int]) -> int:
        """`tensor` under another shape."""
        maker = self.maker(tensor)
        source = maker.inputs[0] if maker is not None and maker.op == "reshape" else tensor
        key = (source, tuple(shape))
        if self.shape(source) == key[1]:
            return source
        if key not in self._views:
            self._views[key] = self.node("reshape", (source,), suffix=".view", shape=key[1])
        return self._views[key]

    # --- layout ----------------------------------------------------------------------------------------------------

    def arrange(self, value: Value, order: Sequence[int], free: Sequence[int] = ()) -> Value:
        """`value` with its axes in memory as in `order`; inside the `free` axes the elements stay as they lie."""
        return self.moved(value, value.layout.ordered(order, free))

    def moved(self, value: Value, memory: Sequence[int]) -> Value:
        """`value` with its factors in memory as in `memory`: through a transpose where they are not."""
        layout, wanted = value.layout, tuple(memory)
        if layout.memory == wanted:
            return value
        place = {number: k for k, number in enumerate(layout.memory)}
        groups: list[list[int]] = []  # places in today's memory that stay together
        for number in wanted:
            if groups and groups[-1][-1] + 1 == place[number]:
                groups[-1].append(place[number])
            else:
                groups.append([place[number]])
        sources = sorted(groups)
        if len(groups) > MAX_RANK:
            raise UnsupportedError(f"a permutation of {len(groups)} groups of axes; permute at most {MAX_RANK} at once")
        shape = [math.prod(layout.stored[k] for k in group) for group in sources]
        perm = tuple(sources.index(group) for group in groups)
        if len(shape) < MAX_RANK:  # keep the batch in front
            shape, perm = [1, *shape], (0, *(p + 1 for p in perm))
        self.transposes += 1
        moved = self.node("transpose", (self.view(value.tensor, shape),), suffix=".order", perm=perm)
        return Value(moved, layout.with_memory(wanted))

    def plain(self, value: Value) -> Value:
        """`value` with its elements in ATen's order."""
        return self.arrange(value, range(len(value.shape)))

    def image(self, value: Value) -> tuple[int, Array]:
        """([1, h, w, c] tensor of an ATen [1, c, h, w] or [1, c, n] (then h = 1), ATen's channel at each place along c)."""
        order = (0, *range(2, len(value.shape)), 1)
        value = self.arrange(value, order, free=(1,))
        spatial = (1,) * (4 - len(value.shape)) + value.shape[2:]
        return self.view(value.tensor, (1, *spatial, value.shape[1])), value.layout.indices(1)

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """ATen's reshape."""
        layout = value.layout.reshaped(shape)
        if layout is None:
            value = self.plain(value)
            layout = dense(shape)
        return Value(value.tensor, layout)

    # --- fusion ----------------------------------------------------------------------------------------------------

    def activate(self, value: Value, kind: str) -> Value:
        """relu, relu6 or relu_n1_to_1 of `value`: in the layer that computes it where it can be, else as a layer."""
        for tensor in (self._before_views(value.tensor), value.tensor):
            maker = self.maker(tensor)
            if maker is not None and maker.attrs.get("activation") == "none" and self.alone(tensor, int(tensor != value.tensor)):
                self.nodes[self._made[tensor]] = replace(maker, attrs=attrs(**{**maker.attrs, "activation": kind}))
                return value
        if kind == "relu_n1_to_1":
            one = self.constant(np.ones(1), "one")
            return Value(self.node("mul", (value.tensor, one), activation=kind), value.layout)
        return Value(self.node(kind, (value.tensor,)), value.layout)

    def _before_views(self, tensor: int) -> int:
        """The tensor behind reshapes and max pools that only `tensor` needs: an activation may stand there as well."""
        readers = 0
        while self.alone(tensor, readers):
            maker = self.maker(tensor)
            if maker is None or maker.op not in ("reshape", "max_pool_2d") or maker.attrs.get("activation", "none") != "none":
                break
            tensor, readers = maker.inputs[0], 1
        return tensor

    def scale(self, value: Value, axis: int | None, factor: Array, offset: Array) -> Value:
        """factor * value + offset: both one number (axis None), or one for each index of `axis`."""
        if self.scaled_before(value, axis, factor, offset):
            return value
        if axis is not None and value.layout.is_last(axis):
            return self._scaled_depthwise(value, axis, factor, offset)
        for op, array, neutral in (("mul", factor, 1.0), ("add", offset, 0.0)):
            if (array != neutral).any():
                shape = [1] * len(value.shape)
                if axis is not None:
                    shape[axis] = -1
                value = self.binary_constant(op, value, np.asarray(array, np.float32).reshape(shape))
        return value

    def scaled_before(self, value: Value, axis: int | None, factor: Array, offset: Array) -> bool:
        """Put factor and offset into the weights of the layer that computes `value`; False where there is none."""
        tensor, readers = value.tensor, 0
        maker = self.maker(tensor)
        while maker is not None and OPS[maker.op].is_view and self.alone(tensor, readers):
            tensor, readers = maker.inputs[0], 1
            maker = self.maker(tensor)
        linear = None if maker is None else OPS[maker.op].linear
        if maker is None or linear is None or maker.attrs["activation"] != "none" or not self.alone(tensor, readers):
            return False
        channels = self.shape(tensor)[-1]
        if axis is not None:
            if not value.layout.is_last(axis) or value.shape[axis] != channels:
                return False
            places = value.layout.indices(axis)
            factor, offset = factor[places], offset[places]
        weights = np.asarray(self.tensors[maker.inputs[1]].data, np.float64)
        bias = np.asarray(self.tensors[maker.inputs[2]].data, np.float64)
        side = [1] * weights.ndim
        side[linear.channel_axis] = -1
        factor = np.broadcast_to(np.asarray(factor, np.float64).reshape(-1), (channels,))
        changed = (weights * factor.reshape(side), bias * factor + np.asarray(offset, np.float64).reshape(-1))
        for index, data in zip(maker.inputs[1:], changed, strict=True):
            self.tensors[index] = replace(self.tensors[index], data=np.ascontiguousarray(data, np.float32))
        self.scaled.append((maker.inputs[1], factor))
        return True

    def _scaled_depthwise(self, value: Value, axis: int, factor: Array, offset: Array) -> Value:
        """As a depthwise convolution of one tap: one layer, and once it is int8 a scale of its own for each channel."""
        places, channels = value.layout.indices(axis), value.shape[axis]
        shape, now = self.shape(value.tensor), value.tensor
        if len(shape) != 4 or shape[-1] != channels:
            now = self.view(now, (1, 1, math.prod(shape) // channels, channels))
        weights = self.constant(np.broadcast_to(factor, (channels,))[places].reshape(1, 1, 1, channels), "weight")
        bias = self.constant(np.broadcast_to(offset, (channels,))[places], "bias")
        return Value(self.node("depthwise_conv_2d", (now, weights, bias), **WINDOW), value.layout)

    def binary_constant(self, op: str, value: Value, data: Array, *, swap: bool = False) -> Value:
        """op(value, data), or op(data, value) with `swap`; `data` broadcasts to value's shape as in ATen."""
        shape = self.shape(value.tensor)
        tensor = self.constant(laid_out(data, value.layout, shape), "constant")
        pair = (tensor, value.tensor) if swap else (value.tensor, tensor)
        return Value(self.node(op, pair, **element_options(op)), value.layout)

    # --- the graph ---------------------------------------------------------------------------------------------------

    def graph(self, name: str, outputs: Sequence[int]) -> Graph:
        """What leads to `outputs`, and nothing else."""
        needed, kept = set(outputs), list[Node]()
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        draft = Graph(printable(name), tuple(self.tensors), (), tuple(self.inputs), tuple(outputs))
        return with_nodes(draft, kept[::-1])


WINDOW: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "activation": "none"}


def element_options(op: str) -> dict[str, Any]:
    """The attributes of a new element-wise node of two inputs."""
    return {"activation": "none"} if op in ("add", "sub", "mul") else {}


def laid_out(data: Array, layout: Layout, shape: Sequence[int]) -> Array:
    """A constant that broadcasts to `layout`'s value as an array that broadcasts to its tensor of `shape`."""
    data = data.reshape((1,) * (len(layout.axes) - data.ndim) + data.shape)
    if data.size == 1:
        return data.reshape(1)
    sizes = [f if full > 1 else 1 for axis, full in zip(layout.axes, data.shape, strict=True) for f in axis]
    moved = data.reshape(sizes).transpose(layout.memory)
    runs = layout.runs(shape)
    extents = None
    if runs is not None:
        place = {number: k for k, number in enumerate(layout.memory)}
        extents = [math.prod(moved.shape[place[n]] for n in run) for run in runs]
        if any(e not in (1, n) for e, n in zip(extents, shape, strict=True)):
            extents = None
    if extents is None:
        moved = np.broadcast_to(moved, layout.stored)
        extents = list(shape)
    while len(extents) > 1 and extents[0] == 1:
        extents = extents[1:]
    return np.ascontiguousarray(moved).reshape(extents)
