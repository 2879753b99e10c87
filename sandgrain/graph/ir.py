"""The graph: frozen values, read on one screen.

A `Graph` is a list of tensors and a list of nodes in an order that can be executed. Nodes name tensors by their index.
A tensor with `data` is a constant. A pass never changes a graph; it builds another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array as Array
from sandgrain.base.errors import ModelError, printable
from sandgrain.graph.dtypes import DType, dtype_of
from sandgrain.graph.quantization import Quantization

Attrs = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Tensor:
    """One value of the graph."""

    name: str
    shape: tuple[int, ...]  # batch first, channels last
    dtype: DType
    quant: Quantization | None  # None: the elements are plain numbers
    data: Array | None  # of a constant: `shape`, `dtype.numpy`

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DType | str,
        quant: Quantization | None = None,
        data: Array | None = None,
    ) -> None:
        """`dtype`: the type or its name. Raises ModelError if there is no type of that name."""
        kind = dtype_of(dtype)
        for field_name, value in (("name", name), ("shape", shape), ("dtype", kind), ("quant", quant), ("data", data)):
            object.__setattr__(self, field_name, value)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def nbytes(self) -> int:
        """Bytes in memory, packed as the type packs."""
        return self.dtype.nbytes(self.size)

    @property
    def units(self) -> int:
        """Elements of a C array of `dtype.c_type` that holds the tensor: `size`, or fewer where elements share bytes."""
        return self.dtype.units(self.size)

    @property
    def scale(self) -> float:
        """The one scale of the tensor. Raises ModelError if it has none, or one per channel."""
        return self._single().scale[0]

    @property
    def zero_point(self) -> int:
        """The one zero point of the tensor. Raises ModelError if it has none, or one per channel."""
        return self._single().zero_point[0]

    def _single(self) -> Quantization:
        if self.quant is None or not self.quant.per_tensor:
            raise ModelError(f"{printable(self.name)} needs exactly one scale; quantize activations per tensor")
        return self.quant


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that lives from one call of the generated C to the next, in a struct of the caller's; all zero at the start."""

    name: str  # its C member
    dtype: DType  # uint8 for words that only an op's kernel knows
    shape: tuple[int, ...]  # () for a counter
    says: str  # what it holds, for a comment

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def padded_bytes(self) -> int:
        """Bytes in the struct, where every member starts at a multiple of 4."""
        return -(-self.dtype.nbytes(self.size) // 4) * 4


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation. `inputs` holds tensor indices, -1 where an optional input is absent."""

    op: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Attrs = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Graph:
    """Tensors, nodes in an executable order, and which tensors come in and go out.

    `channels_first`: where the model comes from, its inputs of three and more axes have their channels at axis 1, and so have its
    outputs of as many axes as an input; here they are last. Other outputs (a list of boxes) are as they are there.
    `restarts`: the layers whose state the model's file keeps from one call to the next; here it starts from zero at each.
    """

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    labels: tuple[str, ...] = ()
    channels_first: bool = False
    restarts: tuple[str, ...] = ()

    def view(self, node: Node) -> View:
        """`node` with its tensors at hand."""
        return View(
            node,
            tuple(None if i < 0 else self.tensors[i] for i in node.inputs),
            tuple(self.tensors[i] for i in node.outputs),
        )

    def packed(self, sample: Sequence[Array]) -> list[bytes]:
        """One sample's inputs as the bytes that they are in memory. `sample`: an array for each input, of its dtype."""
        return [self.tensors[i].dtype.pack(x) for i, x in zip(self.inputs, sample, strict=True)]

    def turned(self, index: int) -> bool:
        """Whether an input or output has its channels at axis 1 where the model comes from."""
        rank = len(self.tensors[index].shape)
        return self.channels_first and rank > 2 and rank in {len(self.tensors[i].shape) for i in self.inputs}

    def consumers(self) -> dict[int, list[int]]:
        """Tensor index -> indices of the nodes that read it."""
        found: dict[int, list[int]] = {}
        for n, node in enumerate(self.nodes):
            for i in dict.fromkeys(node.inputs):
                if i >= 0:
                    found.setdefault(i, []).append(n)
        return found

    def producers(self) -> dict[int, int]:
        """Tensor index -> index of the node that writes it."""
        return {t: n for n, node in enumerate(self.nodes) for t in node.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A node with its tensors: what an op's methods and a kernel's lowering look at."""

    node: Node
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def attrs(self) -> Attrs:
        return self.node.attrs

    @property
    def out(self) -> Tensor:
        return self.outputs[0]

    def input(self, index: int) -> Tensor:
        """Input `index`. Raises ModelError if it is absent."""
        tensor = self.optional(index)
        if tensor is None:
            raise ModelError(f"input {index} is absent; export the model again")
        return tensor

    def const(self, index: int) -> Array:
        """The data of input `index`. Raises ModelError if it is absent or computed at run time."""
        data = self.input(index).data
        if data is None:
            raise ModelError(f"input {index} is computed at run time; make it a constant")
        return data

    def optional(self, index: int) -> Tensor | None:
        return self.inputs[index] if index < len(self.inputs) else None


def attrs(**values: Any) -> Attrs:
    """A read-only attribute mapping."""
    return MappingProxyType(values)


def with_nodes(graph: Graph, nodes: Sequence[Node], **changes: Any) -> Graph:
    """`graph` with other nodes (and other fields), without the tensors that nothing names any more."""
    draft = replace(graph, nodes=tuple(nodes), **changes)
    used = sorted({i for n in draft.nodes for i in (*n.inputs, *n.outputs) if i >= 0} | {*draft.inputs, *draft.outputs})
    new = {old: k for k, old in enumerate(used)} | {-1: -1}
    return replace(
        draft,
        tensors=tuple(draft.tensors[i] for i in used),
        nodes=tuple(
            replace(n, inputs=tuple(new[i] for i in n.inputs), outputs=tuple(new[i] for i in n.outputs)) for n in draft.nodes
        ),
        inputs=tuple(new[i] for i in draft.inputs),
        outputs=tuple(new[i] for i in draft.outputs),
    )
